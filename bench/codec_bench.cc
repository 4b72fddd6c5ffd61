// How fast blocks of 4 MiB are compressed and encrypted on one processor, and what an RSA key costs per
// object.
//   codec_bench [ROUNDS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "chunk/codec.h"
#include "object/crypto/encryptor.h"
#include "object/testing/rsa_pem.h"

namespace {

using namespace cider;

constexpr size_t kBlock = 4 << 20;
int rounds = 50;

using Bytes = std::vector<std::byte>;

// Text with some repetition, about as compressible as source code.
Bytes text_block() {
  std::mt19937 random(1);
  std::vector<std::string> words;
  for (int i = 0; i < 2000; i++) {
    std::string word(3 + random() % 8, ' ');
    for (char& c : word) c = static_cast<char>('a' + random() % 26);
    words.push_back(word + " ");
  }
  std::string text;
  while (text.size() < kBlock) text += words[std::min(random() % 2000, random() % 2000)];
  const auto bytes = std::as_bytes(std::span(text)).first(kBlock);
  return {bytes.begin(), bytes.end()};
}

Bytes random_block() {
  Bytes block(kBlock);
  (void)random_bytes(block);
  return block;
}

// The fastest round, as the machine may have other work.
double best_seconds(const std::function<void()>& step) {
  double best = 1e9;
  for (int i = 0; i < rounds; i++) {
    const auto began = std::chrono::steady_clock::now();
    step();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  return best;
}

void report(const std::string& what, size_t bytes, const std::function<void()>& step,
            const std::string& note = {}) {
  const double seconds = best_seconds(step);
  std::printf("%-34s %8.0f MiB/s  %s\n", what.c_str(), static_cast<double>(bytes) / (1 << 20) / seconds,
              note.c_str());
}

void check(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "codec_bench: %s failed\n", what);
  std::exit(1);
}

void bench_codec(const std::string& name, const std::string& kind, const Bytes& plain) {
  const chunk::Codec& codec = **chunk::find_codec(name);
  Bytes packed(codec.bound(kBlock));
  Bytes out(kBlock);
  size_t size = 0;
  report(name + " compress " + kind, kBlock, [&] {
    auto done = codec.compress(plain, packed);
    check(done.has_value(), "compress");
    size = *done;
  });
  report(
      name + " decompress " + kind, kBlock,
      [&] { check(codec.decompress(std::span(packed).first(size), out).has_value(), "decompress"); },
      std::to_string(size * 100 / kBlock) + " % of the plain size");
}

void bench_encryption(const std::string& algo, const std::string& pem, size_t length) {
  const auto encryptor = *object::Encryptor::create(pem, "", algo);
  BufferChain plain{Buffer::allocate(length, nullptr)};
  std::memset(plain[0].mutable_data(), 7, length);
  Bytes object(length + encryptor->overhead());
  Bytes out(length);
  const std::string what = algo + " " + std::to_string(length >> 10) + " KiB";
  report(what + " encrypt", length, [&] { check(encryptor->encrypt(plain, object).has_value(), "encrypt"); });
  report(what + " decrypt", length, [&] {
    const auto envelope = encryptor->parse(object);
    check(envelope && encryptor->decrypt(*envelope, out), "decrypt");
  });
}

void bench_keys(const std::string& pem, int bits) {
  const auto key = *object::RsaKey::parse(pem, "");
  const AeadKey data_key = *AeadKey::random();
  Bytes wrapped(key.wrapped_size());
  const double wrap = best_seconds([&] { check(key.wrap(data_key, wrapped).has_value(), "wrap"); });
  const double unwrap = best_seconds([&] { check(key.unwrap(wrapped).has_value(), "unwrap"); });
  std::printf("RSA of %d bits: a key wrapped in %.0f us, unwrapped in %.0f us\n", bits, wrap * 1e6,
              unwrap * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) rounds = std::max(1, std::atoi(argv[1]));
  const Bytes text = text_block();
  const Bytes random = random_block();
  for (const char* codec : {"lz4", "zstd"}) {
    bench_codec(codec, "text", text);
    bench_codec(codec, "random", random);
  }
  for (int bits : {2048, 4096}) {
    bench_keys(object::testing::make_rsa_pem(object::testing::PemStyle::pkcs8, "", bits), bits);
  }
  const std::string pem = object::testing::make_rsa_pem(object::testing::PemStyle::pkcs8, "", 2048);
  for (const char* algo : {"aes256gcm-rsa", "chacha20-rsa"}) {
    bench_encryption(algo, pem, kBlock);
    bench_encryption(algo, pem, 100 << 10);
  }
  return 0;
}
