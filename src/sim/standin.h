/* `mayfly-sim runner`: stands in for the GitHub Actions runner. */
#ifndef MAYFLY_SIM_STANDIN_H
#define MAYFLY_SIM_STANDIN_H

int standin_main(void);

#endif
