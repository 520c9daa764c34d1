// A stand-in for the header of this name in Paddle Lite's archives: what the runner needs of it.
#pragma once

namespace paddle {
namespace lite_api {

enum class TargetType : int { kHost = 1 };

}  // namespace lite_api
}  // namespace paddle
