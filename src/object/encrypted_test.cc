#include "object/encrypted.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/testing/fixtures.h"
#include "object/testing/faulty_store.h"
#include "object/testing/rsa_pem.h"

namespace cider::object {
namespace {

using testing::FaultyStore;

constexpr size_t kLargest = 64 << 10;

BufferChain chain(const std::string& bytes, size_t piece = SIZE_MAX) {
  BufferChain data;
  for (size_t at = 0; at < bytes.size(); at += data.back().size()) {
    data.push_back(Buffer::allocate(std::min(piece, bytes.size() - at), nullptr));
    std::memcpy(data.back().mutable_data(), bytes.data() + at, data.back().size());
  }
  return data;
}

class EncryptedStoreTest : public ::testing::Test {
 protected:
  EncryptedStoreTest() {
    auto faulty = std::make_unique<FaultyStore>(std::move(*open_store({"mem", ""})));
    below_ = faulty.get();
    auto encryptor = *Encryptor::create(testing::make_rsa_pem(testing::PemStyle::pkcs8), "", "aes256gcm-rsa");
    overhead_ = encryptor->overhead();
    store_ = with_encryption(std::move(faulty), std::move(encryptor), &budget_, kLargest);
  }
  void TearDown() override { EXPECT_EQ(budget_.used(), 0u); }

  std::string get(const std::string& key, uint64_t offset, size_t length) {
    std::string out(length, '?');
    Status status = store_->get(key, offset, std::as_writable_bytes(std::span(out)), {});
    return status ? out : "error " + std::to_string(status.error().code);
  }
  std::string get_whole(const std::string& key, size_t room) {
    std::string out(room, '?');
    auto size = store_->get_whole(key, std::as_writable_bytes(std::span(out)), {});
    return size ? out.substr(0, *size) : "error " + std::to_string(size.error().code);
  }

  MemoryBudget budget_{1 << 20};
  FaultyStore* below_ = nullptr;
  size_t overhead_ = 0;
  std::unique_ptr<ObjectStore> store_;
};

std::string text(size_t size) {
  std::string bytes;
  while (bytes.size() < size) bytes += std::to_string(bytes.size()) + " ";
  bytes.resize(size);
  return bytes;
}

TEST_F(EncryptedStoreTest, GivesBackWhatWasPut) {
  const std::string content = text(10000);
  ASSERT_TRUE(store_->put("a/b", chain(content, 777), {}));
  EXPECT_EQ(below_->head("a/b")->size, content.size() + overhead_);
  EXPECT_EQ(below_->get_all("a/b", 1 << 20, {})->find(content.substr(5000, 20)), std::string::npos);

  EXPECT_TRUE(get("a/b", 0, 10000) == content);
  EXPECT_EQ(get("a/b", 5000, 100), content.substr(5000, 100));
  EXPECT_EQ(get("a/b", 0, 1), content.substr(0, 1));
  EXPECT_EQ(get("a/b", 9999, 1), content.substr(9999));
  EXPECT_TRUE(get_whole("a/b", 10000) == content);
  EXPECT_TRUE(get_whole("a/b", kLargest) == content);
  EXPECT_TRUE(store_->get_all("a/b", 10000, {}).value() == content);
}

TEST_F(EncryptedStoreTest, LengthsAndAbsenceAreTold) {
  ASSERT_TRUE(store_->put("k", chain(text(100)), {}));
  EXPECT_EQ(get("k", 50, 51), "error " + std::to_string(EIO));
  EXPECT_EQ(get_whole("k", 99), "error " + std::to_string(EFBIG));
  EXPECT_EQ(code_of(store_->get_all("k", 99, {})), EFBIG);
  EXPECT_EQ(get("k", kLargest, 1), "error " + std::to_string(EFBIG));
  EXPECT_EQ(get("none", 0, 1), "error " + std::to_string(ENOENT));
  EXPECT_EQ(get_whole("none", 1), "error " + std::to_string(ENOENT));
  EXPECT_EQ(code_of(store_->get_all("none", 1, {})), ENOENT);
}

TEST_F(EncryptedStoreTest, AlteredObjectsAreNamed) {
  ASSERT_TRUE(store_->put("dir/object", chain(text(100)), {}));
  const std::string good = *below_->get_all("dir/object", 1 << 20, {});
  const auto damaged = [&](const std::string& bytes) {
    ASSERT_TRUE(below_->put("dir/object", chain(bytes), {}));
    EXPECT_EQ(get("dir/object", 0, 100), "error " + std::to_string(EBADMSG));
    EXPECT_EQ(get("dir/object", 5, 5), "error " + std::to_string(EBADMSG));
    EXPECT_EQ(get_whole("dir/object", 100), "error " + std::to_string(EBADMSG));
    auto all = store_->get_all("dir/object", 100, {});
    ASSERT_EQ(code_of(all), EBADMSG);
    EXPECT_NE(all.error().message.find("dir/object"), std::string::npos) << all.error().message;
  };
  std::string tag = good;
  tag.back() = static_cast<char>(tag.back() ^ 1);
  damaged(tag);
  damaged(good.substr(0, good.size() - 1));
  damaged(good.substr(0, 10));
  damaged("");
  damaged(text(100));  // not encrypted at all
}

TEST_F(EncryptedStoreTest, ErrorsOfTheStoreComeThrough) {
  ASSERT_TRUE(store_->put("k", chain("x"), {}));
  below_->set_rule([](const FaultyStore::Call&) { return FaultyStore::Verdict{.code = ETIMEDOUT}; });
  EXPECT_EQ(get("k", 0, 1), "error " + std::to_string(ETIMEDOUT));
  EXPECT_EQ(code_of(store_->put("k", chain("y"), {})), ETIMEDOUT);
  EXPECT_EQ(code_of(store_->get_all("k", 10, {})), ETIMEDOUT);
}

TEST_F(EncryptedStoreTest, OneRequestEach) {
  ASSERT_TRUE(store_->put("k", chain(text(1000), 100), {}));
  EXPECT_EQ(below_->calls(FaultyStore::Op::put), 1);
  EXPECT_EQ(get("k", 10, 10), text(1000).substr(10, 10));
  EXPECT_EQ(below_->calls(FaultyStore::Op::get), 1);
}

// However full the memory is, objects are stored and read.
TEST_F(EncryptedStoreTest, FullMemoryStopsNothing) {
  budget_.charge(10 << 20);
  ASSERT_TRUE(store_->put("k", chain(text(kLargest)), {}));
  EXPECT_EQ(get("k", 10, 10), text(kLargest).substr(10, 10));
  budget_.release(10 << 20);
}

// JuiceFS's mark is encrypted like any object.
TEST(EncryptedStoreGolden, ReadsTheMarkOfJuiceFs) {
  CIDER_FIXTURE(volume, "small-chacha");
  CIDER_FIXTURE(keys, "test-keys");
  auto encryptor = Encryptor::create(cider::testing::read_file(keys / "rsa-plain.pem"), "", "chacha20-rsa");
  ASSERT_TRUE(encryptor);
  auto bucket = open_store({"file", (volume / "objects").string() + "/"});
  ASSERT_TRUE(bucket);
  auto store = with_encryption(with_prefix(std::move(*bucket), "small-chacha/"), std::move(*encryptor),
                               nullptr, 4 << 20);
  const std::string setting = cider::testing::read_file(volume / "setting.json");
  auto mark = store->get_all("juicefs_uuid", 100, {});
  ASSERT_TRUE(mark) << mark.error().message;
  EXPECT_NE(setting.find("\"UUID\": \"" + *mark + "\""), std::string::npos) << *mark;
}

}  // namespace
}  // namespace cider::object
