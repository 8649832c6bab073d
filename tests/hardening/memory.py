"""Does a command stay within 64 MB of resident memory, whatever EC2 and GitHub answer?

usage: memory.py BUILD, which is one without sanitizers
"""

import os
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.path.abspath(sys.argv[1])
LIMIT_KB = 64 << 10
KINDS = ["objects", "elements", "pages", "runners"]
if os.environ.get("MAYFLY_LONG"):
    KINDS += ["body", "headers", "early", "trailer", "bomb"]
START = ["start", "--image", "ami-0a11ce00000000001", "--types", "m7i.large", "--subnets", "subnet-0a11ce01",
         "--security-groups", "sg-0a11ce01", "--timeout", "10s", "--label", "one"]
COMMANDS = {  # and which of the two sends too much
    "status": (["status"], ("AWS_ENDPOINT_URL_EC2", "GITHUB_API_URL")),
    "reap": (["reap"], ("AWS_ENDPOINT_URL_EC2", "GITHUB_API_URL")),
    "stop": (["stop", "--label", "one"], ("AWS_ENDPOINT_URL_EC2", "GITHUB_API_URL")),
    "start": (START, ("AWS_ENDPOINT_URL_EC2", "GITHUB_API_URL")),
    "doctor": (["doctor", *START[1:-4]], ("AWS_ENDPOINT_URL_EC2",)),
}


def peak_kb(args, environment):
    with subprocess.Popen([os.path.join(BUILD, "mayfly"), *args], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss, process.returncode


def main():
    failed, highest = 0, (0, "")
    with tempfile.TemporaryDirectory() as home, subprocess.Popen(
            [os.path.join(BUILD, "mayfly-sim"), "--env-file", os.path.join(home, "settings"), "--state-dir", home],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as sim:
        sim.stdout.readline()  # its settings are written
        with open(os.path.join(home, "settings"), encoding="utf-8") as f:
            settings = dict(line.rstrip("\n").split("=", 1) for line in f)
        settings |= {"PATH": os.environ["PATH"], "HOME": home}
        for kind in KINDS:
            with subprocess.Popen([sys.executable, "-B", os.path.join(TOP, "tests/e2e/flood.py"), kind],
                                  stdout=subprocess.PIPE) as flood:
                address = f"http://127.0.0.1:{int(flood.stdout.readline())}"
                for name, (args, variables) in COMMANDS.items():
                    for variable in variables:
                        kb, status = peak_kb(args, settings | {variable: address})
                        what = f"{name}, {variable} sends too much, {kind}"
                        highest = max(highest, (kb, what))
                        wrong = f"{kb} KB" if kb > LIMIT_KB else f"exit status {status}" if status < 0 else ""
                        failed += bool(wrong)
                        print(f"not ok - memory: {what}: {wrong}" if wrong else f"ok - memory: {what}", flush=True)
                flood.kill()
        sim.terminate()
    print(f"the most: {highest[0] / 1024:.1f} MB, {highest[1]}")
    return failed > 0


sys.exit(main())
