// Runs a .nb file on batches with Paddle Lite's C++ library.
//
// Standard input begins with the line "THREADS MODEL": words on the command line would pass through
// shells on their way to another machine. Batches follow: each is four int32 (N, C, H, W) and
// N·C·H·W float32, all little-endian. What it says on standard output are lines: "file " and the
// version of the optimizer that wrote MODEL; once the library has opened it, "library " and the
// library's own version, which may be empty; for every batch "logits N CLASSES", followed by as
// many float32. In place of any of them may come "error " and a sentence; the status is 1 then. It
// ends with the input.
//
// The library aborts where it fails, and prints to standard error, in some versions to standard
// output too: so that is moved away from under it.

#include <unistd.h>

#include <algorithm>
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
  char head[18];
  std::FILE* file = std::fopen(path, "rb");
  if (!file) throw std::runtime_error(std::string("cannot open ") + path);
  const size_t read = std::fread(head, 1, sizeof head, file);
  std::fclose(file);
  if (read != sizeof head) throw std::runtime_error(std::string(path) + " is cut short");
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

void Main(std::FILE* in, std::FILE* out) {
  std::string line;
  for (int one; (one = std::fgetc(in)) != EOF && one != '\n';) line += static_cast<char>(one);
  const size_t blank = line.find(' ');
  if (blank == std::string::npos) throw std::runtime_error("no file is named");
  const std::string model = line.substr(blank + 1);
  Say(out, "file " + OptimizerVersion(model.c_str()));
  MobileConfig config;
  config.set_model_from_file(model);
  config.set_threads(std::atoi(line.c_str()));
  std::shared_ptr<PaddlePredictor> predictor = CreatePaddlePredictor<MobileConfig>(config);
  if (!predictor) throw std::runtime_error("the library does not open the file");
  Say(out, "library " + predictor->GetVersion());
  Serve(predictor.get(), in, out);
}

}  // namespace

int main() {
  std::FILE* out = fdopen(dup(STDOUT_FILENO), "wb");
  dup2(STDERR_FILENO, STDOUT_FILENO);
  int status = 0;
  try {
    Main(stdin, out);
  } catch (const std::exception& error) {
    std::string sentence = error.what();  // the library's are of several lines
    std::replace(sentence.begin(), sentence.end(), '\n', ' ');
    std::fprintf(out, "error %s\n", sentence.c_str());
    status = 1;
  }
  std::fclose(out);
  std::_Exit(status);  // the library crashes in its destructors on some devices
}
