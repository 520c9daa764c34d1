# Each target is one line that calls one Python file; the files work without make too.
# make itself ends with status 2 whenever a command failed: scripts that care about the difference
# between drift (1), bad input (2) and undecided (3) call the Python files.

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3))
RUN = $(PYTHON)
VENV = .venv/bin

# NAME=value on make's command line becomes --name value; several values become several flags.
each = $(foreach word,$(2),--$(1) "$(word)")
one = $(if $(2),--$(1) "$(2)")
INT8_FLAGS = $(call one,calib,$(CALIB)) $(call one,calib-photos,$(CALIB_PHOTOS)) \
  $(call one,method,$(METHOD)) $(call each,keep-float,$(KEEP_FLOAT))
MODEL_FLAGS = $(call each,model,$(MODEL) $(MODELS))
FILE_FLAGS = $(call each,target,$(TARGET) $(TARGETS)) $(call each,precision,$(PRECISION)) \
  $(call one,weights,$(WEIGHTS)) $(call one,classes,$(CLASSES)) $(call one,opset,$(OPSET)) \
  $(INT8_FLAGS)
PHOTO_FLAGS = $(call one,data,$(DATA)) $(call one,photos,$(PHOTOS)) $(call one,budget,$(BUDGET)) \
  $(if $(ACCEPT_SIMULATED),--accept-simulated)

.PHONY: help setup doctor demo export convert calibrate validate benchmark reference matrix train \
  adapt fixtures evaluate package apk phone test bench lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup:  ## make .venv and .venv-lite (and .venv-trt where a GPU is) from the lock files
	@$(PYTHON) runtimes/install.py

doctor:  ## what this machine has, what is missing, how to get it
	@$(RUN) deploy/doctor.py

demo: setup  ## the whole chain on real photos, and the drift table
	@$(RUN) deploy/demo.py

export:  ## MODEL=… [WEIGHTS=path|official|demo|random] [CLASSES=N]: checkpoint to inference graph
	@$(RUN) convert/export.py $(MODEL_FLAGS) $(call one,weights,$(WEIGHTS)) $(call one,classes,$(CLASSES))

convert:  ## MODEL=… TARGET=…|all [PRECISION=…] [OPSET=13] [CALIB=folder]: the files of a target
	@$(RUN) deploy/build.py $(MODEL_FLAGS) $(FILE_FLAGS)

calibrate:  ## MODEL=… TARGET=… [DATA=…] [CALIB=folder] [METHOD=entropy] [BUDGET=PP] [WITHIN_BUDGET=1] [MINUTES=N] [KEEP_FLOAT=layers]: INT8 files, judged
	@$(RUN) deploy/calibrate.py $(MODEL_FLAGS) $(FILE_FLAGS) $(PHOTO_FLAGS) $(if $(WITHIN_BUDGET),--within-budget) $(call one,minutes,$(MINUTES))

validate:  ## [MODEL=…] TARGET=…|all [PRECISION=…] [DATA=demo|folder] [ACCEPT_SIMULATED=1] [IMPORT=result.json]: top-1 drift on photos
	@$(RUN) deploy/validate.py $(if $(IMPORT),$(call each,import,$(IMPORT)),$(MODEL_FLAGS) $(FILE_FLAGS) $(PHOTO_FLAGS))

benchmark:  ## MODEL=… [TARGET=…] [PRECISION=…] [BATCH=1,4,8] [THREADS=N] [PEERS=1] [COMPARE="A B"]: latency here
	@$(RUN) deploy/benchmark.py $(MODEL_FLAGS) $(FILE_FLAGS) $(call one,batch,$(BATCH)) $(call one,threads,$(THREADS)) $(if $(PEERS),--peers) $(if $(COMPARE),--compare $(COMPARE))

reference:  ## [MODEL=…]: the published figures, and which of them are contested
	@$(RUN) deploy/published.py $(MODEL_FLAGS)

train:  ## MODEL=… DATA=… [EPOCHS=N] [PHOTOS=N] [INIT=official|path] [BATCH=N] [LR=X] [DEVICES=gpu:4] [RESUME=1]: train or fine-tune
	@$(RUN) training/train.py $(MODEL_FLAGS) $(call one,data,$(DATA)) $(call one,photos,$(PHOTOS)) $(call one,epochs,$(EPOCHS)) $(call one,init,$(INIT)) $(call one,batch,$(BATCH)) $(call one,lr,$(LR)) $(call one,devices,$(DEVICES)) $(call one,seed,$(SEED)) $(call one,out,$(OUT)) $(if $(RESUME),--resume)

adapt:  ## MODEL=… DATA=cifar10|folder [INIT=path|official|demo|random] [PHOTOS=N] [OUT=file]: a new classifier
	@$(RUN) training/adapt.py $(MODEL_FLAGS) $(call one,data,$(DATA)) $(call one,init,$(INIT)) $(call one,photos,$(PHOTOS)) $(call one,out,$(OUT)) $(call one,seed,$(SEED))

fixtures:  ## [MODEL=…] [PHOTOS=N]: ten-class checkpoints of all 17 models from random backbones (an hour)
	@$(RUN) training/toy_checkpoints.py $(MODEL_FLAGS) $(call one,photos,$(PHOTOS))

evaluate:  ## MODEL=… [DATA=…] [WEIGHTS=…]: top-1 and top-5 of a checkpoint, and its worst classes
	@$(RUN) deploy/evaluate.py $(MODEL_FLAGS) $(call one,weights,$(WEIGHTS)) $(call one,classes,$(CLASSES)) $(call one,data,$(DATA)) $(call one,photos,$(PHOTOS))

matrix:  ## [MODELS=…|all] [TARGETS=…] [PRECISION=…] [DATA=…] [PHOTOS=N] [JOBS=N]: every model on every target
	@$(RUN) deploy/matrix.py $(MODEL_FLAGS) $(FILE_FLAGS) $(PHOTO_FLAGS) $(call one,jobs,$(JOBS))

package:  ## MODEL=… TARGET=lite-arm|onnx [PRECISION=…] [DATA=…] [PHOTOS=16] [LABELS=file]: what an app needs, a folder and a zip
	@$(RUN) deploy/package.py $(MODEL_FLAGS) $(FILE_FLAGS) $(call one,data,$(DATA)) $(call one,photos,$(PHOTOS)) $(call one,labels,$(LABELS))

apk:  ## [MODELS=…] [PRECISION=…] [PADDLE_LITE_ANDROID=archive] [ONNXRUNTIME_ANDROID=aar]: the demo app, with packages inside
	@$(RUN) deploy/apk.py $(MODEL_FLAGS) $(call each,precision,$(PRECISION)) $(call one,paddle-lite,$(PADDLE_LITE_ANDROID)) $(call one,onnxruntime,$(ONNXRUNTIME_ANDROID))

phone:  ## [MODEL=…] [PRECISION=…] [ONLY=check|bench] [THREADS=N] [RUNS=N] [SERIAL=…]: check and bench on a phone, over adb
	@$(RUN) deploy/phone.py $(MODEL_FLAGS) $(call each,precision,$(PRECISION)) $(call each,only,$(ONLY)) $(call one,threads,$(THREADS)) $(call one,runs,$(RUNS)) $(call one,serial,$(SERIAL))

test: setup  ## linter, formatter and tests
	@$(VENV)/ruff check . && $(VENV)/ruff format --check . && $(VENV)/python -m pytest

bench: setup  ## speed against plain scripts, with ratios
	@$(RUN) benchmarks/bench.py $(call one,data,$(DATA))
	@$(RUN) benchmarks/bench_calibration.py $(call one,data,$(DATA))

lock:  ## renew requirements/*.txt from *.in (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/toolkit.in -o requirements/toolkit.txt
	uv pip compile --quiet --python-version 3.7 --generate-hashes --no-emit-index-url --no-header requirements/lite.in -o requirements/lite.txt
	uv pip compile --quiet --python-version 3.10 --generate-hashes --no-emit-index-url --no-header requirements/trt.in -o requirements/trt.txt

clean:  ## remove build/ (downloads stay in the cache)
	rm -rf build
