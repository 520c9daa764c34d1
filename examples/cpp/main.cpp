// Runs a package of the toolkit by OpenVINO: docs/cpp.md has the use, docs/package.md the files.
#include <openssl/evp.h>
#include <fstream>
#include <future>
#include <iostream>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <openvino/openvino.hpp>

using Bytes = std::vector<uint8_t>;
using Floats = std::vector<float>;
using Strings = std::vector<std::string>;
using Fault = std::runtime_error;  // whatever is thrown ends as one line, with status 2

Bytes read(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    Bytes bytes(std::istreambuf_iterator<char>(stream), {});
    if (bytes.empty()) throw Fault(path + ": no such file, or nothing in it");
    return bytes;
}

std::string sha256(const Bytes& bytes) {
    uint8_t digest[32];
    EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr);
    std::string text;
    for (int byte : digest) text += cv::format("%02x", byte);
    return text;
}

// Whether a JPEG's end follows its scan. OpenCV fills what is missing with grey and says nothing.
// What comes before the scan is stepped over, since an EXIF thumbnail is a JPEG of its own.
bool jpegEnds(const Bytes& data) {
    size_t at = 2;
    while (at + 4 <= data.size() && data[at] == 0xFF && data[at + 1] != 0xDA)
        at += data[at + 1] == 0xFF ? 1 : 2 + 256 * data[at + 2] + data[at + 3];
    if (at + 4 > data.size() || data[at] != 0xFF) return false;
    const uint8_t end[] = {0xFF, 0xD9};
    return std::search(data.begin() + at, data.end(), end, end + 2) != data.end();
}

// Upright, BGR: of grey, palettes, 16 bits, alpha and CMYK what OpenCV makes (data/decode.py).
cv::Mat decode(const std::string& path) {
    const Bytes data = read(path);
    if (data.size() > 2 && data[0] == 0xFF && data[1] == 0xD8 && !jpegEnds(data))
        throw Fault(path + ": truncated JPEG");
    cv::Mat pixels;
    try { pixels = cv::imdecode(data, cv::IMREAD_COLOR); } catch (const cv::Exception&) {}
    if (pixels.empty()) throw Fault(path + ": no photo that OpenCV " CV_VERSION " reads");
    return pixels;
}

// Some rows of what Pillow's bicubic resize to `height` makes of a photo: weights of 22 bits over a
// kernel (Keys, a = -1/2) as wide as the reduction, and sums that are cut to bytes.
cv::Mat pillowRows(const cv::Mat& photo, int height, int first, int count) {
    const double scale = double(photo.rows) / height, stretch = std::max(scale, 1.0), a = -0.5;
    cv::Mat rows(count, photo.cols, CV_8UC3);
    for (int i = 0; i < count; ++i) {
        const double centre = (first + i + 0.5) * scale;
        const int low = std::max(int(centre - 2 * stretch + 0.5), 0);
        const int high = std::min(int(centre + 2 * stretch + 0.5), photo.rows);
        const auto kernel = [=](int y) {
            const double x = std::abs((y - centre + 0.5) * (1 / stretch));
            const double near = ((a + 2) * x - (a + 3)) * x * x + 1;
            return x < 1 ? near : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
        };
        double whole = 0;
        for (int y = low; y < high; ++y) whole += kernel(y);
        std::vector<int> sums(3 * photo.cols, 1 << 21);
        for (int y = low; y < high; ++y) {
            const double share = kernel(y) / whole;
            const int weight = int(share * (1 << 22) + (share < 0 ? -0.5 : 0.5));
            for (int x = 0; x < 3 * photo.cols; ++x) sums[x] += weight * photo.ptr(y)[x];
        }
        for (int x = 0; x < 3 * photo.cols; ++x)
            rows.ptr(i)[x] = cv::saturate_cast<uint8_t>(sums[x] >> 22);
    }
    return rows;
}

struct Package {
    std::string folder;
    nlohmann::json manifest, how;  // how: preprocess.json
    int side, classes;
    float table[3][256];  // what a channel's byte becomes
    ov::InferRequest request;

    Package(const std::string& place, int threads) : folder(place + "/") {
        manifest = nlohmann::json::parse(read(folder + "manifest.json"), nullptr, false);
        if (!manifest.is_object()) throw Fault(folder + "manifest.json: damaged; package it again");
        const std::string target = manifest.at("target"), kind = manifest.at("precision");
        if (manifest.at("schema") != 2 || (target != "openvino" && target != "onnx"))
            throw Fault(place + ": a package for " + target + " in form " +
                        manifest["schema"].dump() + "; this program opens openvino and onnx in 2");
        for (const auto& [name, about] : manifest.at("files").items())
            if (sha256(read(folder + name)) != about.at("sha256"))
                throw Fault(folder + name + ": damaged (wrong sha256); make the package again");
        how = nlohmann::json::parse(read(folder + "preprocess.json"));
        const std::string library = how.at("library"), kernel = how.at("interpolation");
        side = how.at("crop");
        if (how.size() != 6 || side < 1 || how.at("resize_short") < side ||
            (library + kernel != "opencvbilinear" && library + kernel != "pillowbicubic"))
            throw Fault(folder + "preprocess.json: asks for what this program does not know");
        for (int i = 0; i < 3 * 256; ++i) {
            const float mean = how.at("mean").at(i / 256), deviation = how.at("std").at(i / 256);
            table[i / 256][i % 256] = (float(i % 256) * float(1 / 255.0) - mean) / deviation;
        }
        // OpenVINO quietly takes bf16 where it is not told, or told what only other CPUs have.
        ov::Core core;
        const Strings has = core.get_property("CPU", ov::device::capabilities);
        const std::string asked = kind == "bf16" ? "BF16" : kind == "fp16" ? "FP16" : "FP32";
        const std::string taken = std::count(has.begin(), has.end(), asked) ? asked : "FP32";
        if (taken != asked) std::cerr << "this CPU has no " << asked << ": computed in FP32\n";
        auto model = core.read_model(folder + (target == "onnx" ? "model.onnx" : "model.xml"));
        model->reshape(ov::PartialShape{1, 3, side, side});
        auto compiled = core.compile_model(
            model, "CPU", ov::hint::inference_precision(taken), ov::inference_num_threads(threads),
            ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY));
        request = compiled.create_infer_request();
        classes = request.get_output_tensor().get_size();
    }

    Bytes crop(const std::string& path) const {  // uint8 [S, S, 3], RGB
        cv::Mat photo = decode(path);
        const double percent = how["resize_short"].get<double>() / std::min(photo.cols, photo.rows);
        const double width = std::nearbyint(photo.cols * percent);  // halves to even, as in Python
        const double height = std::nearbyint(photo.rows * percent);
        if (width * height > 1 << 28) throw Fault(path + ": too narrow a strip");
        const int left = (int(width) - side) / 2, top = (int(height) - side) / 2;
        if (how["library"] == "opencv") {
            cv::resize(photo, photo, cv::Size(width, height), 0, 0, cv::INTER_LINEAR);
            photo = photo(cv::Rect(left, top, side, side));
        } else {  // Pillow goes across first, but down where far more rows than columns fall away
            const bool tall = photo.rows - height > std::max(0.0, 2 * (photo.cols - width));
            for (const bool down : {tall, !tall})
                photo = down ? pillowRows(photo, height, top, side)
                             : cv::Mat(pillowRows(photo.t(), width, left, side).t());
        }
        Bytes rgb(3 * side * side);
        cv::cvtColor(photo, cv::Mat(side, side, CV_8UC3, rgb.data()), cv::COLOR_BGR2RGB);
        return rgb;
    }

    Floats logits(const uint8_t* rgb) {
        float* input = request.get_input_tensor().data<float>();
        for (int i = 0; i < 3 * side * side; ++i)
            input[i % 3 * side * side + i / 3] = table[i % 3][rgb[i]];
        request.infer();
        const float* output = request.get_output_tensor().data<float>();
        return Floats(output, output + classes);
    }
};

// Logits, negated, and their classes: the highest first, of equal ones the lower class.
std::vector<std::pair<float, int>> ranked(const Floats& logits) {
    std::vector<std::pair<float, int>> order;
    for (size_t i = 0; i < logits.size(); ++i) order.emplace_back(-logits[i], i);
    std::sort(order.begin(), order.end());
    return order;
}

// Judges the golden photos by the app's gate, then times them for `ms`; returns the exit status.
int check(Package& package, double ms) {
    const Bytes crops = read(package.folder + "golden/crops.bin");
    const Bytes golden = read(package.folder + "golden/logits.bin");
    const size_t classes = package.classes, pixels = 3 * package.side * package.side;
    const size_t count = crops.size() / pixels;
    if (!count || golden.size() != count * classes * sizeof(float))
        throw Fault(package.folder + "golden: not of this model; make the package again");
    const bool numeric = package.manifest.at("gate") == "numeric";
    size_t agreed = 0, faults = 0; double furthest = 0;
    for (size_t i = 0; i < count; ++i) {
        const auto* first = reinterpret_cast<const float*>(golden.data()) + i * classes;
        const Floats wanted(first, first + classes), found = package.logits(&crops[i * pixels]);
        if (!cv::checkRange(wanted) || !cv::checkRange(found)) { ++faults; continue; }
        const double moved = cv::norm(wanted, found, cv::NORM_INF);
        furthest = std::max(furthest, moved / cv::norm(wanted, cv::NORM_INF));
        const auto best = ranked(wanted);
        if (best[0].second == ranked(found)[0].second) ++agreed;
        else faults += numeric && best[1].first - best[0].first >= moved;
    }
    const bool failed = faults || (numeric && furthest > 1e-3);
    std::cout << (failed ? "fail" : numeric ? "pass" : "undecided") << ": " << agreed
              << " of " << count << " golden photos decided as by Paddle, largest relative logit "
              << "difference " << cv::format("%.1e\n", furthest);
    std::vector<double> took;
    for (double sum = 0; sum < ms; sum += took.back()) {
        const auto begun = cv::getTickCount();
        package.logits(&crops[took.size() % count * pixels]);
        took.push_back(1e3 * (cv::getTickCount() - begun) / cv::getTickFrequency());
    }
    std::sort(took.begin(), took.end());
    if (!took.empty())
        std::cout << cv::format("median %.2f ms, p90 %.2f ms, %zu runs\n", took[took.size() / 2],
                                took[took.size() * 9 / 10], took.size());
    return failed ? 1 : numeric ? 0 : 3;
}

// Prints the five likeliest classes of each photo, or writes float32 logits [N, classes].
void recognize(Package& package, const Strings& photos, const std::string& file, size_t threads) {
    std::ifstream names(package.folder + "labels.txt");
    Strings labels(package.classes);
    for (auto& label : labels) std::getline(names, label);
    Floats all;
    std::vector<std::future<Bytes>> crops;  // decoded while those before them are recognized
    for (size_t done = 0; done < photos.size(); ++done) {
        for (size_t i = crops.size(); i < std::min(photos.size(), done + 1 + threads); ++i)
            crops.push_back(std::async(std::launch::async, &Package::crop, &package, photos[i]));
        const Floats logits = package.logits(crops[done].get().data());
        if (!cv::checkRange(logits)) throw Fault(photos[done] + ": its logits are not finite");
        if (all.insert(all.end(), logits.begin(), logits.end()); !file.empty()) continue;
        const auto best = ranked(logits);
        double sum = 0, top = best[0].first;
        for (float logit : logits) sum += std::exp(logit + top);
        std::cout << photos[done] << '\n';
        for (size_t i = 0; i < std::min<size_t>(5, best.size()); ++i)
            std::cout << cv::format("%7.2f %%  ", 100 * std::exp(top - best[i].first) / sum)
                      << labels[best[i].second] << '\n';
    }
    const auto* bytes = reinterpret_cast<const char*>(all.data());
    if (!file.empty() && !std::ofstream(file).write(bytes, all.size() * sizeof(float)).flush())
        throw Fault(file + ": cannot be written");
}

int main(int count, char** words) try {
    std::string place, mode, file;
    Strings photos;
    int threads = cv::getNumberOfCPUs();
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        if (word == "--check" || word == "--bench") mode = word;
        else if (word == "--logits" && i + 1 < count) file = words[++i];
        else if (word == "--threads" && i + 1 < count) threads = std::atoi(words[++i]);
        else if (word == "-")
            for (std::string line; std::getline(std::cin, line);) photos.push_back(line);
        else (place.empty() ? place : photos.emplace_back()) = word;
    }
    if (place.empty() || mode.empty() == photos.empty() || threads < 1)
        throw Fault("usage: portage PACKAGE [--threads N] --check | --bench | "
                    "[--logits FILE] PHOTO... | - (photos on standard input, one a line)");
    Package package(place, threads);
    if (!mode.empty()) return check(package, mode == "--bench" ? 3000 : 0);
    recognize(package, photos, file, threads);
    return 0;
} catch (const std::exception& error) {
    std::string what = error.what();
    std::replace(what.begin(), what.end(), '\n', ' ');
    std::cerr << "error: " << what << '\n';
    return 2;
}
