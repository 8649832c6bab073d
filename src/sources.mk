# The sources of Makefile.am, by folder and name.

# Of libmayfly; src/net/server.c only with the simulator.
library_sources = \
	src/util/arena.c src/util/base.c src/util/clock.c src/util/encode.c src/util/error.c src/util/file.c \
	src/util/home.c src/util/ini.c src/util/lock.c src/util/log.c src/util/opts.c src/util/pairs.c \
	src/util/secret.c src/util/signals.c src/util/strbuf.c src/util/text.c src/util/token.c src/util/trust.c \
	src/util/words.c \
	src/net/call.c src/net/http.c src/net/paging.c src/net/retry.c src/net/url.c \
	src/codec/field.c src/codec/gzip.c src/codec/json.c src/codec/xml.c \
	src/crypto/crypto.c src/crypto/rsa.c \
	src/aws/call.c src/aws/config.c src/aws/creds.c src/aws/creds_container.c src/aws/creds_fetch.c \
	src/aws/creds_imds.c src/aws/creds_process.c src/aws/creds_profile.c src/aws/creds_provider.h \
	src/aws/creds_role.c src/aws/creds_sso.c src/aws/creds_web_identity.c src/aws/ec2.c src/aws/ec2_call.h \
	src/aws/ec2_filter.c src/aws/ec2_fleet.c src/aws/ec2_images.c src/aws/ec2_network.c src/aws/errors.c \
	src/aws/query.c src/aws/sigv4.c src/aws/ssm.c src/aws/sts.c \
	src/github/app.c src/github/auth.c src/github/call.c src/github/jobs.c src/github/runners.c \
	src/runner/bake.c src/runner/bake_box.c src/runner/bake_part.c src/runner/bake_region.c src/runner/clocks.c src/runner/cloud.c \
	src/runner/doctor.c src/runner/drive.c src/runner/handover.c src/runner/images.c src/runner/launch.c src/runner/pair.c \
	src/runner/params.c src/runner/payload.c src/runner/plan.c src/runner/policy.c src/runner/reap.c \
	src/runner/reap_leftovers.c src/runner/reap_pass.c src/runner/reap_rows.c src/runner/room.c src/runner/spec.c \
	src/runner/stop.c src/runner/tags.c src/runner/userdata.c \
	src/cmd/bake.c src/cmd/commands.c src/cmd/common.c src/cmd/doctor.c src/cmd/doctor_aws.c \
	src/cmd/doctor_github.c src/cmd/fleet.c src/cmd/manual.c src/cmd/policy.c src/cmd/reap.c src/cmd/reap.h src/cmd/reap_metrics.c src/cmd/reap_metrics.h \
	src/cmd/reap_report.c src/cmd/reap_report.h src/cmd/start.c src/cmd/start_opts.c src/cmd/start_prepare.c \
	src/cmd/start_report.c src/cmd/status.c src/cmd/stop.c

# Of mayfly-sim.
sim_sources = \
	src/sim/aws.c src/sim/aws.h src/sim/aws_serve.c src/sim/aws_serve.h src/sim/broker.c src/sim/broker.h \
	src/sim/builder.c src/sim/builder.h src/sim/catalog.c src/sim/catalog.h src/sim/control.c src/sim/control.h \
	src/sim/control_call.c src/sim/control_call.h src/sim/control_world.c src/sim/describe.c src/sim/describe.h \
	src/sim/ec2.c src/sim/ec2.h src/sim/ec2_images.c src/sim/ec2_instances.c src/sim/ec2_network.c \
	src/sim/ec2_run.c src/sim/ec2_run.h src/sim/ec2_run_check.c src/sim/ec2_run_disks.c src/sim/ec2_snapshots.c \
	src/sim/ec2_spot.c src/sim/ec2_tags.c src/sim/ec2_types.c src/sim/ec2_volumes.c src/sim/exchange.c \
	src/sim/exchange.h src/sim/faults.c src/sim/faults.h src/sim/github.c src/sim/github.h src/sim/github_app.c \
	src/sim/github_app.h src/sim/github_app_tokens.c src/sim/github_call.c src/sim/github_call.h \
	src/sim/github_jobs.c src/sim/github_jwt.c src/sim/github_jwt.h src/sim/github_mint.c src/sim/github_runners.c \
	src/sim/held.c src/sim/held.h src/sim/http.c src/sim/http.h src/sim/imds.c src/sim/imds.h src/sim/issued.c \
	src/sim/issued.h src/sim/issuer.c src/sim/issuer.h src/sim/main.c src/sim/options.c src/sim/options.h \
	src/sim/rates.c src/sim/rates.h src/sim/rows.h src/sim/sandbox.c src/sim/sandbox.h src/sim/sim.c src/sim/sim.h \
	src/sim/ssm.c src/sim/ssm.h src/sim/standin.c src/sim/standin.h src/sim/state.c src/sim/state.h src/sim/sts.c \
	src/sim/sts.h src/sim/text.c src/sim/text.h src/sim/to_json.c src/sim/to_json.h src/sim/verify.c \
	src/sim/verify.h src/sim/world.c src/sim/world.h src/sim/world_instances.c src/sim/world_instances.h \
	src/sim/world_resources.c src/sim/world_resources.h src/sim/world_runners.c src/sim/world_runners.h
