// A stand-in for Paddle Lite's library, so that the way to it and back is tested: a "network" whose
// logits are weighted sums, by which it shows when a photo, a pixel or an order is wrong. What it
// computes has nothing to do with the file, and its version says what it is.
//
//     logits[n][k] = Σ_j (j mod 7 + 1) · batch[n][k + 1000 j]
//
// STAND_IN_VERSION is the version that it tells; STAND_IN_FAULT makes it fail as the real one does.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "paddle_api.h"

namespace paddle {
namespace lite_api {
namespace {

const int64_t kClasses = 1000;

struct Values {
  shape_t shape;
  std::vector<float> data;
};

bool Fails(const char* how) {
  const char* fault = std::getenv("STAND_IN_FAULT");
  return fault && !std::strcmp(fault, how);
}

void Abort(const char* said) {
  std::fprintf(stderr, "%s", said);
  std::abort();
}

class StandIn : public PaddlePredictor {
 public:
  explicit StandIn(const MobileConfig&) {
    std::printf("a line on standard output\n");
    std::fflush(stdout);
    const char* lacking =
        "\nError: Please use Paddle-Lite lib with all ops, which is marked with `with_extra`. "
        "Current lib is of tiny_publish, in which only basic ops are included and we can not "
        "create operator 'layer_norm'.\n Two ways are suggested\n";
    if (Fails("operator")) Abort(lacking);
    if (Fails("operator, throwing")) throw std::runtime_error(lacking);
    if (Fails("kernel")) {
      Abort(
          "\nError: This model is not supported, because kernel for 'conv2d' is not supported by "
          "Paddle-Lite.\n");
    }
    if (Fails("silently")) Abort("");
    if (Fails("instruction")) asm volatile(".inst 0");  // none of any CPU
    if (Fails("throwing")) throw std::runtime_error("the file is damaged");
  }

  std::unique_ptr<Tensor> GetInput(int) override {
    return std::unique_ptr<Tensor>(new Tensor(&input_));
  }

  std::unique_ptr<const Tensor> GetOutput(int) const override {
    return std::unique_ptr<const Tensor>(new Tensor(static_cast<const void*>(&output_)));
  }

  void Run() override {
    if (Fails("running")) Abort("Check failed: it breaks\n");
    if (Fails("hanging")) std::this_thread::sleep_for(std::chrono::minutes(5));
    const int64_t photos = input_.shape[0], size = input_.data.size() / photos;
    output_.shape = {photos, Fails("shape") ? 1 : kClasses};
    if (Fails("shape")) output_.shape.push_back(1);
    output_.data.assign(photos * kClasses, 0.0f);
    for (int64_t i = 0; i < photos * size; ++i) {
      const int64_t photo = i / size, pixel = i % size;
      output_.data[photo * kClasses + pixel % kClasses] +=
          (pixel / kClasses % 7 + 1) * input_.data[i];
    }
  }

  std::string GetVersion() const override {
    const char* version = std::getenv("STAND_IN_VERSION");
    return version ? version : "stand-in";
  }

 private:
  Values input_, output_;
};

Values* At(void* raw) { return static_cast<Values*>(raw); }

}  // namespace

Tensor::Tensor(void* raw) : raw_tensor_(raw) {}
Tensor::Tensor(const void* raw) : raw_tensor_(const_cast<void*>(raw)) {}
void Tensor::Resize(const shape_t& shape) { At(raw_tensor_)->shape = shape; }
shape_t Tensor::shape() const { return At(raw_tensor_)->shape; }

template <>
LITE_API const float* Tensor::data<float>() const {
  return At(raw_tensor_)->data.data();
}

template <>
LITE_API float* Tensor::mutable_data<float>(TargetType) const {
  int64_t size = 1;
  for (int64_t one : At(raw_tensor_)->shape) size *= one;
  At(raw_tensor_)->data.resize(size);
  return At(raw_tensor_)->data.data();
}

void ConfigBase::set_threads(int threads) { threads_ = threads; }
void MobileConfig::set_model_from_file(const std::string& path) { lite_model_file_ = path; }

template <>
LITE_API std::shared_ptr<PaddlePredictor> CreatePaddlePredictor<MobileConfig>(
    const MobileConfig& config) {
  return std::make_shared<StandIn>(config);
}

}  // namespace lite_api
}  // namespace paddle
