// AWS's two files of profiles, ~/.aws/credentials and ~/.aws/config
// (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html), read as AWS's SDK for Go reads them.
// Their bytes may be anything. Immutable; thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "object/s3/endpoint.h"

namespace cider::object::s3 {

// The settings of a section, names in lower case.
class Section {
 public:
  // "" where it isn't set.
  std::string get(std::string_view name) const;
  bool has(std::string_view name) const { return !get(name).empty(); }
  void set(std::string name, std::string value) {
    values_.insert_or_assign(std::move(name), std::move(value));
  }
  // What `other` sets counts.
  void add(const Section& other);

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

class ProfileFiles {
 public:
  // What the files hold.
  ProfileFiles(std::string_view credentials, std::string_view config);
  // Of AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE, else of HOME. One that can't be read counts as empty.
  static ProfileFiles read(const Environment& env);

  // [profile NAME] of config ([default] needs no "profile") with what [NAME] of credentials sets.
  std::optional<Section> profile(const std::string& name) const;
  // [sso-session NAME] of config.
  std::optional<Section> sso_session(const std::string& name) const;

 private:
  // By title, with one blank between its words.
  using Sections = std::map<std::string, Section, std::less<>>;
  static Sections parse(std::string_view ini);
  static const Section* find(const Sections& sections, const std::string& title);

  Sections credentials_;
  Sections config_;
};

}  // namespace cider::object::s3
