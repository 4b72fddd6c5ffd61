#include "meta/store/redis/script.h"

#include <openssl/sha.h>

#include "base/bytes.h"

namespace cider::meta::redis {

// Numbers are doubles here: ids, lengths and counters pass through as strings and bytes. What is checked
// first cannot fail later, since a script that fails half-way leaves its writes behind.
const std::string_view kScript = R"lua(
local call, sub, byte, char = redis.call, string.sub, string.byte, string.char
local checks, writes = tonumber(ARGV[1]), tonumber(ARGV[2])
local slot, seq, prolong = ARGV[3], ARGV[4], ARGV[5]
local nk, na = 0, 5
local refused = false

if slot ~= '' then
  nk = 1
  local last = call('HGET', KEYS[1], slot)
  if last then
    local colon = string.find(last, ':', 1, true)
    local last_seq = tonumber(sub(last, 1, colon - 1))
    if last_seq > tonumber(seq) then return {3} end
    refused = last_seq == tonumber(seq) and sub(last, colon + 1) == '!'
    if last_seq == tonumber(seq) and not refused then
      local out = {1}
      for n in string.gmatch(sub(last, colon + 1), '%d+') do out[#out + 1] = tonumber(n) end
      return out
    end
  end
end

-- Decided attempts are kept for a day after the last one: far longer than a copy may be under way.
local function decide(verdict)
  local new = call('HSET', KEYS[1], slot, seq .. ':' .. verdict) == 1
  if new or prolong ~= '' then call('EXPIRE', KEYS[1], 86400) end
end

-- The decimal digits of a big-endian u64.
local function decimal(b)
  local hi, lo = struct.unpack('>I4I4', b)
  if hi < 2097152 then return string.format('%.0f', hi * 4294967296 + lo) end
  local low, mid, high = 0, 0, 0
  for i = 1, 8 do
    low = low * 256 + byte(b, i)
    local carry = math.floor(low / 1e7)
    low = low - carry * 1e7
    mid = mid * 256 + carry
    carry = math.floor(mid / 1e7)
    mid = mid - carry * 1e7
    high = high * 256 + carry
  end
  return (string.gsub(string.format('%06.0f%07.0f%07.0f', high, mid, low), '^0+', ''))
end

local function acl_of(v)
  if #v >= 79 then return sub(v, 72, 79) end
  return '\0\0\0\0\0\0\0\0'
end
local function tier_of(v)
  if #v == 73 then return sub(v, 72, 72) end
  if #v == 81 then return sub(v, 80, 80) end
  return '\0'
end

-- mask: pairs of offset and length; length 0 stands for the parts without a fixed place.
local function same(a, b, mask)
  if a == b then return true end
  if not a or b == '' then return not a and b == '' end
  for i = 1, #mask, 2 do
    local o, n = byte(mask, i), byte(mask, i + 1)
    if n > 0 then
      if sub(a, o + 1, o + n) ~= sub(b, o + 1, o + n) then return false end
    elseif o == 1 then
      if acl_of(a) ~= acl_of(b) then return false end
    elseif tier_of(a) ~= tier_of(b) then
      return false
    end
  end
  return true
end

local records = {}
local function record(k)
  local v = records[k]
  if v == nil then
    v = call('GET', k)
    records[k] = v
  end
  return v
end

local now, holds, taken = {}, not refused, false
local tails = {}  -- the slices that the latest records of a chunk name
for i = 1, checks do
  local op = ARGV[na + 1]
  nk = nk + 1
  local k = KEYS[nk]
  local v = false
  if op == 'a' then      -- an inode: expected, mask
    v = record(k)
    if holds then holds = same(v, ARGV[na + 2], ARGV[na + 3]) end
    na = na + 3
  elseif op == 'e' then  -- a field of a hash: field, expected with '+' before it
    v = call('HGET', k, ARGV[na + 2])
    if holds then holds = (v and '+' .. v or '') == ARGV[na + 3] end
    na = na + 3
  elseif op == 'l' then  -- an entry with its inode: name, expected entry with '+', expected inode, mask, key prefix
    local entry, attr = call('HGET', k, ARGV[na + 2]), false
    if entry and #entry == 9 then attr = record(ARGV[na + 6] .. 'i' .. decimal(sub(entry, 2))) end
    v = {entry, attr}
    if holds then
      holds = (entry and '+' .. entry or '') == ARGV[na + 3] and same(attr, ARGV[na + 4], ARGV[na + 5])
    end
    na = na + 6
  elseif op == 'W' then  -- not checked: entries along a path and their inodes: key prefix, number of names, names
    local prefix, dir = ARGV[na + 2], k
    local n = tonumber(ARGV[na + 3])
    v = {}
    for j = na + 4, na + 3 + n do
      local entry = dir and call('HGET', dir, ARGV[j])
      if not entry or #entry ~= 9 then break end
      local ino = decimal(sub(entry, 2))
      local attr = record(prefix .. 'i' .. ino)
      v[#v + 1] = entry
      v[#v + 1] = attr
      dir = attr and prefix .. 'd' .. ino
    end
    na = na + 3 + n
  elseif op == 'z' then  -- whether a directory is empty: "1" or "0"
    v = call('HLEN', k) == 0 and '1' or '0'
    if holds then holds = v == ARGV[na + 2] end
    na = na + 2
  elseif op == 's' then  -- a string: expected with '+'
    v = call('GET', k)
    if holds then holds = (v and '+' .. v or '') == ARGV[na + 2] end
    na = na + 2
  elseif op == 'c' then  -- a list's head, joined: expected, "prefix" or "", how many items ("0": all)
    v = table.concat(call('LRANGE', k, 0, tonumber(ARGV[na + 4]) - 1))
    local e = ARGV[na + 2]
    if holds then holds = v == e or ARGV[na + 3] ~= '' and sub(v, 1, #e) == e end
    na = na + 4
  elseif op == 'h' then  -- a whole hash: number of expected fields, fields and values
    v = call('HGETALL', k)
    local n = tonumber(ARGV[na + 2])
    if holds then
      holds = #v == 2 * n
      local expected = {}
      for j = 1, n do expected[ARGV[na + 1 + 2 * j]] = ARGV[na + 2 + 2 * j] end
      for j = 1, #v, 2 do holds = holds and expected[v[j]] == v[j + 1] end
    end
    na = na + 2 + 2 * n
  elseif op == 'r' then  -- references of a slice: field, expected "1" alive or "0"
    v = call('HGET', k, ARGV[na + 2])
    local alive = not v or sub(v, 1, 1) ~= '-'
    if holds then holds = (alive and '1' or '0') == ARGV[na + 3] end
    na = na + 3
  elseif op == 'S' then  -- a session: sid, expected score or "*" (any) or ""
    v = call('ZSCORE', k, ARGV[na + 2])
    local e = ARGV[na + 3]
    if holds then holds = (v or '') == e or v and e == '*' end
    na = na + 3
  elseif op == 'q' then  -- sessions that sustain an inode, by allSessions: ino, expected sids joined by ' ', key prefix
    local found = {}
    for _, sid in ipairs(call('ZRANGE', k, 0, -1)) do
      if call('SISMEMBER', ARGV[na + 4] .. 'session' .. sid, ARGV[na + 2]) == 1 then found[#found + 1] = sid end
    end
    v = table.concat(found, ' ')
    if holds then holds = v == ARGV[na + 3] end
    na = na + 4
  elseif op == 'N' then  -- not checked: names of a hash's fields
    v = call('HKEYS', k)
    na = na + 1
  elseif op == 'G' then  -- not checked: a whole hash
    v = call('HGETALL', k)
    na = na + 1
  elseif op == 'V' then  -- not checked: two numbers, the second of KEYS' next
    nk = nk + 1
    v = {call('GET', k), call('GET', KEYS[nk])}
    na = na + 1
  elseif op == 'D' then  -- not checked: a field of three hashes
    nk = nk + 2
    local f = ARGV[na + 2]
    v = {call('HGET', k, f), call('HGET', KEYS[nk - 1], f), call('HGET', KEYS[nk], f)}
    na = na + 2
  elseif op == 'H' then  -- not checked: of the keys in a set, those whose hash has a field: field
    v = {}
    for _, locked in ipairs(call('SMEMBERS', k)) do
      if string.find(locked, 'lockp', 1, true) and call('HEXISTS', locked, ARGV[na + 2]) == 1 then v[#v + 1] = locked end
    end
    na = na + 2
  elseif op == 'u' then  -- an inode that is to be new is not there
    if call('EXISTS', k) == 1 then taken = 2 end
    na = na + 1
  elseif op == 'n' then  -- a slice has no count, and was given out by the counter that is KEYS' next: field, id
    nk = nk + 1
    if call('HEXISTS', k, ARGV[na + 2]) == 1 or tonumber(call('GET', KEYS[nk]) or '0') < tonumber(ARGV[na + 3]) then
      taken = 4
    end
    na = na + 3
  elseif op == 't' then  -- a chunk's latest records name no slice of this id: its 8 bytes
    if not tails[k] then
      tails[k] = {}
      for _, r in ipairs(call('LRANGE', k, -32, -1)) do tails[k][sub(r, 5, 12)] = true end
    end
    if tails[k][ARGV[na + 2]] then taken = 4 end
    na = na + 2
  elseif op == 'y' then  -- a list that is only written is one, or is not there; else the script ends here
    call('LLEN', k)
    na = na + 1
  elseif op == 'x' then  -- an inode that is to be patched is there
    local there = record(k)
    if not there or #there < 63 then holds = false end
    na = na + 1
  end
  now[i] = v
end
if not writes or not holds or taken then
  -- A copy of this attempt that is still on its way must not find that it may.
  if slot ~= '' and not refused then decide('!') end
  if writes and holds then return {taken} end
  table.insert(now, 1, 0)
  return now
end

-- Every touch moves the ctime: one that comes late puts it a nanosecond on, so that others see the change. A ctime that
-- is seconds ahead stems from a wrong clock, and gives way.
local function touch(v, kind, time)
  local now_s, now_ns = struct.unpack('>i8I4', time)
  local was_s, was_ns = struct.unpack('>i8I4', sub(v, 36, 47))
  local late = was_s > now_s or was_s == now_s and was_ns >= now_ns
  if late and (was_s < now_s + 3 or was_s == now_s + 3 and was_ns <= now_ns) then
    if was_ns == 999999999 then was_s, was_ns = was_s + 1, -1 end
    time = struct.pack('>i8I4', was_s, was_ns + 1)
  end
  if kind == 'm' then return sub(v, 1, 23) .. time .. time .. sub(v, 48) end
  if kind == 'M' then return sub(v, 1, 23) .. time .. sub(v, 36) end
  return sub(v, 1, 35) .. time .. sub(v, 48)
end

-- sets: offset, length, bytes of each; links: what is added; kind and time of a touch; tail: "" or the ACL ids and the tier, each
-- "" to keep it.
local function patch(v, sets, links, kind, time, acl, tier)
  if #v < 71 then v = sub(v, 1, 63) .. string.rep('\0', 9) end  -- of a release that knew no parent
  if kind ~= '' then v = touch(v, kind, time) end
  local i = 1
  while i <= #sets do
    local o, n = byte(sets, i), byte(sets, i + 1)
    v = sub(v, 1, o) .. sub(sets, i + 2, i + 1 + n) .. sub(v, o + n + 1)
    i = i + 2 + n
  end
  if links ~= '' then
    local n = struct.unpack('>I4', sub(v, 48, 51)) + tonumber(links)
    v = sub(v, 1, 47) .. struct.pack('>I4', math.max(n, 0)) .. sub(v, 52)
  end
  if acl ~= '' or tier ~= '' then
    if acl == '' then acl = acl_of(v) end
    if tier == '' then tier = tier_of(v) end
    if acl == '\0\0\0\0\0\0\0\0' then acl = '' end
    if tier == '\0' then tier = '' end
    v = sub(v, 1, 71) .. acl .. tier .. '\0'
  end
  return v
end

-- The list's new length. unpack() takes some thousands of values, and one that fails leaves writes behind.
local function append(k, first, last)
  local length
  for at = first, last, 500 do length = call('RPUSH', k, unpack(ARGV, at, math.min(at + 499, last))) end
  return length
end

local out, told = {1}, {}
for i = 1, writes do
  local op = ARGV[na + 1]
  nk = nk + 1
  local k = KEYS[nk]
  if op == 'P' then      -- patch an inode; then "1" if its record is wanted
    local v = patch(record(k), ARGV[na + 2], ARGV[na + 3], ARGV[na + 4], ARGV[na + 5], ARGV[na + 6], ARGV[na + 7])
    call('SET', k, v)
    records[k] = v
    if ARGV[na + 8] == '1' then told[#told + 1] = k end
    na = na + 8
  elseif op == 'R' then  -- a command: its name, the number of its further arguments (a few), these
    local n = tonumber(ARGV[na + 3])
    call(ARGV[na + 2], k, unpack(ARGV, na + 4, na + 3 + n))
    na = na + 3 + n
  elseif op == 'A' then  -- append to a list, whose new length is wanted: number of items, these
    local n = tonumber(ARGV[na + 2])
    out[#out + 1] = append(k, na + 3, na + 2 + n)
    na = na + 2 + n
  elseif op == 'D' then  -- a directory's statistics, where it has them: field, three numbers; three keys
    nk = nk + 2
    local f = ARGV[na + 2]
    if call('HEXISTS', KEYS[nk], f) == 1 then
      for j = 0, 2 do
        if ARGV[na + 3 + j] ~= '0' then call('HINCRBY', KEYS[nk - 2 + j], f, ARGV[na + 3 + j]) end
      end
    end
    na = na + 5
  elseif op == 'p' then  -- count of a field, which goes at 0: field, number
    if call('HINCRBY', k, ARGV[na + 2], ARGV[na + 3]) <= 0 then call('HDEL', k, ARGV[na + 2]) end
    na = na + 3
  elseif op == 'L' then  -- replace the head of a list: how many go, number of items that come, these
    local n = tonumber(ARGV[na + 3])
    call('LTRIM', k, ARGV[na + 2], -1)
    for j = n, 1, -1 do call('LPUSH', k, ARGV[na + 3 + j]) end
    na = na + 3 + n
  elseif op == 'f' then  -- forget a count below zero: field
    local v = call('HGET', k, ARGV[na + 2])
    if v and sub(v, 1, 1) == '-' then call('HDEL', k, ARGV[na + 2]) end
    na = na + 2
  elseif op == 'k' then  -- release a lock: field, "<sid>_"; the set of the session's locked keys is KEYS' next
    nk = nk + 1
    call('HDEL', k, ARGV[na + 2])
    local more = false
    for _, f in ipairs(call('HKEYS', k)) do more = more or sub(f, 1, #ARGV[na + 3]) == ARGV[na + 3] end
    if not more then call('SREM', KEYS[nk], k) end
    na = na + 3
  elseif op == 'X' then  -- release all locks of a session, by the set of its locked keys: "<sid>_", the waits' key
    local mine = ARGV[na + 2]
    local keys = call('SMEMBERS', k)
    keys[#keys + 1] = ARGV[na + 3]
    for _, locked in ipairs(keys) do
      for _, f in ipairs(call('HKEYS', locked)) do
        if sub(f, 1, #mine) == mine then call('HDEL', locked, f) end
      end
    end
    call('DEL', k)
    na = na + 3
  elseif op == 'O' then  -- append to those of a row of chunks that exist: key's beginning in KEYS, first, last, record
    for j = tonumber(ARGV[na + 2]), tonumber(ARGV[na + 3]) do
      call('RPUSHX', k .. string.format('%.0f', j), ARGV[na + 4])
    end
    na = na + 4
  elseif op == 'm' then  -- the larger of a field and a number: field, number
    if tonumber(call('HGET', k, ARGV[na + 2]) or '0') < tonumber(ARGV[na + 3]) then
      call('HSET', k, ARGV[na + 2], ARGV[na + 3])
    end
    na = na + 3
  end
end
if slot ~= '' then decide(table.concat(out, ',', 2)) end
for _, k in ipairs(told) do out[#out + 1] = records[k] end
return out
)lua";

const std::string& script_sha() {
  static const std::string sha = [] {
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1(reinterpret_cast<const unsigned char*>(kScript.data()), kScript.size(), digest);
    return to_hex({reinterpret_cast<const char*>(digest), sizeof digest});
  }();
  return sha;
}

}  // namespace cider::meta::redis
