# Each target is one line that calls one Python file; the files work without make too. They read
# the NAME=value words of make's command line themselves, as typed (common/make_words.py).
# make itself ends with status 2 whenever a command failed: scripts that care about the difference
# between drift (1), bad input (2) and undecided (3) call the Python files. What a verdict means
# stands in a file, and is make's last line, in place of "Error 3": a command has two rules, which
# is why there are two colons, and the second one fails with those words.

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3))
said = $(eval said := $(shell mktemp -u /tmp/paddle-portage-said.XXXXXXXXXX))$(said)
run = @[ -s $(said) ] || PORTAGE_SAID=$(said) "$(PYTHON:~/%=$(HOME)/%)" $(1) --make $@ $(MAKECMDGOALS) \
  || { status=$$?; [ -s $(said) ] || exit $$status; }
no_words = $(if $(MAKEOVERRIDES),$(error make $@ takes no words))
VENV = .venv/bin

# For the environment make would expand the words; only the tests look for any there.
ifeq ($(filter test,$(MAKECMDGOALS)),)
unexport $(foreach word,$(MAKEOVERRIDES),$(firstword $(subst =, ,$(word))))
endif

commands := $(shell sed -n 's/^\([a-z-]*\)::.*/\1/p' Makefile)
.PHONY: help $(commands) test lock clean

help:  ## this list (what the words mean: HELP=1 with a command, once it is set up)
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p; s/^#\(   <.*\)/\1/p' Makefile | expand -t 18

setup::  ## [ONLY=main|lite|trt]: make .venv and .venv-lite (and .venv-trt where a GPU is) from the lock files
	$(call run,runtimes/install.py)

setup-arm::  ## an ARM64 root in .arm, to execute ARM code on this machine (needs qemu-user-static)
	$(call run,runtimes/install_arm.py)

setup-serve::  ## make .venv-serve, a Triton server and its clients, from its lock files
	$(call run,runtimes/install_serve.py)

setup-ray::  ## make .venv-ray, for matrices on many machines, from its lock file
	$(call run,runtimes/install_ray.py)

doctor::  ## <host>: what this machine, or another host, has, what is missing, how to get it
	$(call run,deploy/doctor.py)

demo:: setup  ## [VERBOSE=1]: the whole chain on real photos, and the drift table
	$(call run,deploy/demo.py)

export::  ## MODEL=… [NAME=…] [WEIGHTS=path|official|demo|random] [WEIGHTS_KEY=…] [CONFIG=path|none] [CLASSES=N]: checkpoint to inference graph
	$(call run,convert/export.py)

convert::  ## MODEL=… [NAME=…] TARGET=…|all <files>: the files of a target
	$(call run,deploy/build.py)

calibrate::  ## MODEL=… [NAME=…] TARGET=… <files> <photos> <gate> [WITHIN_BUDGET=1] [MINUTES=N] <ray> [JSON=1]: INT8 files, judged
	$(call run,deploy/calibrate.py)

validate::  ## [MODEL=…] [NAME=…] TARGET=…|all <files> <photos> <gate> <host> <endpoint> [CHANGES=file.csv] [IMPORT=result.json] [ONLY=onnx-int8] [CALIBRATED=folder] [VERBOSE=1] [JSON=1]: top-1 drift on photos
	$(call run,deploy/validate.py)

explain::  ## MODEL=… [NAME=…] TARGET=… <files> <photos> <host> [FILE=path] [BLAME=1] [WANT=percent] <ray> [VERBOSE=1] [JSON=1]: where drift begins, layer by layer
	$(call run,deploy/explain.py)

benchmark::  ## MODEL=… [NAME=…] [TARGET=…] <files> [BATCH=1,4,8] [THREADS=N] [LIMIT=S] [PEERS=1] [COMPARE="A B"] <endpoint> [CONCURRENCY=1,8,32] [FRESH=1] [JSON=1]: latency here, or what a server carries
	$(call run,deploy/benchmark.py)

reference::  ## [MODEL=…] [JSON=1]: the published figures, and which of them are contested
	$(call run,deploy/published.py)

train::  ## MODEL=… DATA=… [PHOTOS=N] [SKIP_BAD=1] [EPOCHS=N] [INIT=official|path] [WEIGHTS_KEY=…] [BATCH=N] [LR=X] [DEVICES=gpu:4] [HOSTS=10.0.0.1,10.0.0.2] [PORT=6070] [RESUME=1] [SEED=N] [LIMIT_STEPS=N] [OUT=folder]: train or fine-tune
	$(call run,training/train.py)

adapt::  ## MODEL=… DATA=cifar10|folder [PHOTOS=N] [SKIP_BAD=1] [INIT=path|official|demo|random] [WEIGHTS_KEY=…] [SEED=N] [OUT=file]: a new classifier
	$(call run,training/adapt.py)

fixtures::  ## [MODEL=…] [PHOTOS=N]: ten-class checkpoints of all 17 models from random backbones (an hour)
	$(call run,training/toy_checkpoints.py)

evaluate::  ## MODEL=… [NAME=…] [WEIGHTS=…] [WEIGHTS_KEY=…] [CONFIG=path|none] [CLASSES=N] <photos> [ALLOW_SEEN=1] [JSON=1]: top-1 and top-5 of a checkpoint, and its worst classes
	$(call run,deploy/evaluate.py)

matrix::  ## [MODELS=…|all] [NAME=…] [TARGETS=…] <files> <photos> <gate> <host> <endpoint> [JOBS=N] <ray>: every model on every target
	$(call run,deploy/matrix.py)

report::  ## [MODELS=…] [OUT=file.html] [AGAINST=folder|results.json] [FAIL_ON=regression] [ALSO=md,csv,junit,json] [CHANGES=changes.json] [GPU_CHECK=gpu-check.json]: all results on one page
	$(call run,deploy/report.py)

gpu-check::  ## [MODELS=…] [PRECISION=…] [WEIGHTS=path|official|demo|random] [DATA=folder|demo|cifar10] [PHOTOS=N] [SKIP_BAD=1] [LIMIT=S] [OUT=folder] [FRESH=1]: on a GPU, all that is simulated elsewhere
	$(call run,deploy/gpu_check.py)

package::  ## MODEL=… [NAME=…] [TARGET=onnx|openvino|mnn|ncnn|opencv|lite-arm] <files> <photos> [LABELS=file|none] [SIGN=key.pem]: what an app needs, a folder and a zip
	$(call run,deploy/package.py)

verify::  ## PACKAGE=folder|zip [KEY=public.pem]: a package from elsewhere: is it whole, and who signed it
	$(call run,deploy/verify.py)

apk::  ## [MODELS=…] [NAME=…] [TARGET=…] <files> <photos> [LABELS=file|none] [SIGN=key.pem] [KEY=public.pem|folder] [ABIS=arm64-v8a] [PADDLE_LITE_ANDROID=archive|official] [ONNXRUNTIME_ANDROID=aar]: the demo app, with packages inside
	$(call run,deploy/apk.py)

cpp::  ## [MODEL=…] [NAME=…] [TARGET=openvino|onnx] <files> <photos> [LABELS=file|none] [SIGN=key.pem] [COMPARE=photos] [BENCH=1]: the C++ program of examples/cpp, built, and checked with packages
	$(call run,deploy/cpp.py)

phone::  ## [MODEL=…] [NAME=…] [PRECISION=…] [ONLY=check|bench] [THREADS=N] [RUNS=N] [SERIAL=…] [LIMIT=S]: check and bench on a phone, over adb
	$(call run,deploy/phone.py)

serve::  ## MODEL=… [NAME=…] [TARGET=onnx|openvino|paddle] <files> [PORT=8000] [HOST=0.0.0.0] [EXPORT=folder] [FORMAT=triton|ovms|kserve] [STORAGE=s3://…]: REST and gRPC (KServe v2), here or for production
	$(call run,deploy/serve.py)

audit::  ## [SERVICE=https://…]: known vulnerabilities of the locked packages, where OSV can be asked
	$(call run,deploy/audit.py)

test: setup  ## linter, formatter, type checker and tests
	@$(VENV)/ruff check . && $(VENV)/ruff format --check . && $(VENV)/mypy
	@$(VENV)/python -m pytest -m "not alone" --numprocesses=logical --maxprocesses=4 --dist=worksteal
	@$(VENV)/python -m pytest -m alone

bench:: setup  ## [DATA=…] [MODEL=…] [WEIGHTS=…] [ROUNDS=N] [ONLY=part]: speed against plain scripts, with ratios
	$(call run,benchmarks/bench.py)
	$(if $(value ONLY)$(value MODEL),,$(call run,benchmarks/bench_calibration.py))
	$(if $(value ONLY)$(value MODEL),,$(call run,benchmarks/bench_explain.py))

bench-many::  ## [PHOTOS="1000 50000"] [MODEL=…] [WEIGHTS=…] [CLASSES=N] [ONLY=validate|calibrate] [KILL=1] [FOLDER=…]: memory, and the time left as it was shown, of many photos
	$(call run,benchmarks/bench_many.py)

campaign:: setup  ## [MINUTES=30] [SEED=N] [KINDS=pdparams,kills,disks] [CASE=seed:kind:number] [PAGE=file.md]: damaged files and requests, killed commands, full disks, by the thousand
	$(call run,benchmarks/campaign.py)

lock:  ## renew requirements/*.txt from *.in (needs uv)
	$(no_words)uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/toolkit.in -o requirements/toolkit.txt
	uv pip compile --quiet --universal --no-deps --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/toolkit-no-deps.in -o requirements/toolkit-no-deps.txt
	uv pip compile --quiet --python-version 3.7 --generate-hashes --no-emit-index-url --no-header requirements/lite.in -o requirements/lite.txt
	uv pip compile --quiet --python-version 3.10 --generate-hashes --no-emit-index-url --no-header requirements/trt.in -o requirements/trt.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/serve.in -o requirements/serve.txt
	uv pip compile --quiet --universal --no-deps --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/serve-no-deps.in -o requirements/serve-no-deps.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/ray.in -o requirements/ray.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/audit.in -o requirements/audit.txt
	uv pip compile --quiet --no-deps --python-version 3.11 --python-platform aarch64-manylinux_2_36 --constraints requirements/toolkit.txt --constraints requirements/toolkit-no-deps.txt --generate-hashes --no-emit-index-url --no-header requirements/arm.in -o requirements/arm.txt
	"$(PYTHON)" runtimes/debian.py

clean-cache::  ## [DOWNLOADS=1]: free what the cache holds of decoded photos and the like, and say how much
	$(call run,deploy/clean_cache.py)

clean:  ## remove build/ (downloads stay in the cache)
	$(no_words)rm -rf build

$(commands)::
	$(if $(wildcard $(said)),$(error $(shell cat $(said); rm -f $(said))))

# Words of several commands, for the list:
#   <files> = [PRECISION=…] [WEIGHTS=path|official|demo|random] [WEIGHTS_KEY=…] [CONFIG=path|none] [CLASSES=N] [OPSET=13] [CALIB=folder] [CALIB_PHOTOS=N] [METHOD=entropy] [KEEP_FLOAT=layers] [RECALIBRATE=1]
#   <photos> = [DATA=folder|demo|cifar10] [PHOTOS=N] [SKIP_BAD=1]
#   <gate> = [LABELS=none] [MORE=photos] [BUDGET=PP] [ACCEPT_SIMULATED=1] [ACCEPT_ESTIMATED=1] [ALLOW_SEEN=1]
#   <host> = [HOST=arm|phone|ssh:NAME] [ARM_CPU=cortex-a72|cortex-a76|max] [PADDLE_LITE_ARM=archive|folder|official]
#   <endpoint> = [URL=http://host:8000|grpc://host:8001] [SERVED_NAME=…]
#   <ray> = [RAY=auto|ray://HOST:PORT] [RAY_WAIT=S]
