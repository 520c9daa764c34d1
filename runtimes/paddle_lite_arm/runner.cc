// Runs a .nb file on batches with Paddle Lite's C++ library.
//
//     runner MODEL THREADS [BATCHES LOGITS]
//
// Batches come from standard input, or from the file BATCHES: each is four int32 (N, C, H, W) and
// N·C·H·W float32, all little-endian. What it says, on standard output or in the file LOGITS, are
// lines: "file " and the version of the optimizer that wrote MODEL; once the library has opened
// it, "library " and the library's own version, which may be empty; for every batch
// "logits N CLASSES", followed by as many float32. In place of any of them may come "error " and a
// sentence; the status is 1 then. It ends with the input.
//
// The library aborts where it fails, and prints to standard error, in some versions to standard
// output too: so that is moved away from under it.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "paddle_api.h"

namespace {

using paddle::lite_api::CreatePaddlePredictor;
using paddle::lite_api::MobileConfig;
using paddle::lite_api::PaddlePredictor;

const int64_t kMostValues = int64_t{1} << 30;

std::FILE* Open(const char* path, const char* mode) {
  std::FILE* file = std::fopen(path, mode);
  if (!file) throw std::runtime_error(std::string("cannot open ") + path);
  return file;
}

void Write(std::FILE* out, const void* data, size_t bytes) {
  if (std::fwrite(data, 1, bytes, out) != bytes) throw std::runtime_error("cannot write the answer");
}

void Say(std::FILE* out, const std::string& line) {
  Write(out, line.data(), line.size());
  Write(out, "\n", 1);
  std::fflush(out);
}

// The version of the optimizer: up to 16 characters behind a uint16, the number of the format.
std::string OptimizerVersion(const char* path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(Open(path, "rb"), std::fclose);
  char head[18];
  if (std::fread(head, 1, sizeof head, file.get()) != sizeof head) {
    throw std::runtime_error(std::string(path) + " is cut short");
  }
  return std::string(head + 2, strnlen(head + 2, 16));
}

void Run(PaddlePredictor* predictor, const std::vector<int64_t>& shape,
         const std::vector<float>& batch, std::FILE* out) {
  auto input = predictor->GetInput(0);
  input->Resize(shape);
  std::memcpy(input->mutable_data<float>(), batch.data(), batch.size() * sizeof(float));
  predictor->Run();
  auto output = predictor->GetOutput(0);
  const std::vector<int64_t> found = output->shape();
  if (found.size() != 2 || found[0] != shape[0]) {
    std::string said;
    for (int64_t size : found) said += (said.empty() ? "" : "x") + std::to_string(size);
    throw std::runtime_error("the output has the shape " + said + " for a batch of " +
                             std::to_string(shape[0]));
  }
  Say(out, "logits " + std::to_string(found[0]) + " " + std::to_string(found[1]));
  Write(out, output->data<float>(), sizeof(float) * found[0] * found[1]);
  std::fflush(out);
}

void Serve(PaddlePredictor* predictor, std::FILE* in, std::FILE* out) {
  int32_t sizes[4];
  size_t read;
  while ((read = std::fread(sizes, 1, sizeof sizes, in)) == sizeof sizes) {
    int64_t values = 1;
    for (int32_t size : sizes) {
      if (size < 1 || size > kMostValues) throw std::runtime_error("a batch has no valid shape");
      values *= size;
      if (values > kMostValues) throw std::runtime_error("a batch is too large");
    }
    std::vector<float> batch(values);
    if (std::fread(batch.data(), sizeof(float), values, in) != static_cast<size_t>(values)) {
      throw std::runtime_error("a batch is cut short");
    }
    Run(predictor, {sizes[0], sizes[1], sizes[2], sizes[3]}, batch, out);
  }
  if (read) throw std::runtime_error("a batch is cut short");
}

int Main(int count, char** words, std::FILE* out) {
  if (count != 3 && count != 5) throw std::runtime_error("runner MODEL THREADS [BATCHES LOGITS]");
  Say(out, "file " + OptimizerVersion(words[1]));
  MobileConfig config;
  config.set_model_from_file(words[1]);
  config.set_threads(std::atoi(words[2]));
  std::shared_ptr<PaddlePredictor> predictor = CreatePaddlePredictor<MobileConfig>(config);
  if (!predictor) throw std::runtime_error("the library does not open the file");
  Say(out, "library " + predictor->GetVersion());
  Serve(predictor.get(), count == 5 ? Open(words[3], "rb") : stdin, out);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  std::FILE* out = count == 5 ? std::fopen(words[4], "wb") : fdopen(dup(STDOUT_FILENO), "wb");
  if (!out) {
    std::fprintf(stderr, "cannot write the answers\n");
    return 1;
  }
  dup2(STDERR_FILENO, STDOUT_FILENO);
  int status = 1;
  try {
    status = Main(count, words, out);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::fprintf(out, "error %s\n", error.what());
  }
  std::fclose(out);
  std::_Exit(status);  // the library crashes in its destructors on some devices
}
