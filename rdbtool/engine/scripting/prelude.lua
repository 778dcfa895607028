-- What a script of a server sees: `redis`, `cjson`, `cmsgpack`, `struct`, `bit`, and the libraries of Lua that servers
-- leave in (script.c, eval.c, lua_cjson.c, lua_cmsgpack.c, lua_struct.c, lua_bit.c). `host` holds what Python does.
-- Objects are written in the order in which Lua keeps them, as in a server, but for Valkey 9: what hangs on that order is
-- not run as one of its scripts.

local host, options = ...
local raise, kind, number, text, load_text, protect = error, type, tonumber, tostring, loadstring, pcall
local pairs, next, select, unpack, floor, concat = pairs, next, select, unpack, math.floor, table.concat
local rawget, rawset = rawget, rawset
local byte, char, sub, find, format, gsub = string.byte, string.char, string.sub, string.find, string.format, string.gsub
local null = newproxy()
local sort = table.sort

for _, name in pairs({'package', 'require', 'module', 'io', 'python', 'debug', 'dofile', 'loadfile', 'print',
                      'newproxy', 'collectgarbage', 'gcinfo'}) do _G[name] = nil end
os = {clock = os.clock}
if options.plain_errors then print = function() end else getfenv, setfenv = nil, nil end

-- A protected call gets the text of an error, not the table that `redis.call` raises.
local function plain(fine, wrong, ...)
  if not fine and kind(wrong) == 'table' then
    local message = rawget(wrong, 'err')
    if kind(message) == 'string' then return false, message end
  end
  return fine, wrong, ...
end
pcall = function(...) return plain(protect(...)) end

string.dump = nil

-- Bytecode can reach any memory of the interpreter: servers take text only.
local function load_only_text(code, name)
  if kind(code) == 'string' and byte(code) == 27 then return nil, 'bytecode is not loaded' end
  return load_text(code, name)
end
loadstring = load_only_text
load = function(reader, name)
  local pieces = {}
  while true do
    local piece = reader()
    if piece == nil or piece == '' then break end
    if kind(piece) ~= 'string' then return nil, 'reader function must return a string' end
    pieces[#pieces + 1] = piece
  end
  return load_only_text(concat(pieces), name or '=(load)')
end

-- redis

local sorted = {smembers = true, keys = true, hkeys = true, hvals = true, sdiff = true, sinter = true, sunion = true}

local function before(a, b)
  if a == false then a = '' end
  if b == false then b = '' end
  return a < b
end

-- Python gets an integer for a number that is one, without the sign of zero.
local function signed(value, ...)
  if value == 0 and 1 / value < 0 and options.digits17 then value = '-0' end
  if select('#', ...) == 0 then return value end
  return value, signed(...)
end

local function run(protected, ...)
  local count = select('#', ...)
  if count == 0 then
    raise(options.plain_errors and 'Please specify at least one argument for redis.call()'
          or {err = 'ERR Please specify at least one argument for this redis.call() call'}, 0)
  end
  for i = 1, count do
    local t = kind((select(i, ...)))
    if t ~= 'string' and t ~= 'number' then
      local wrong = 'Lua redis lib command arguments must be strings or integers'
      if protected then return {err = 'ERR ' .. wrong} end
      raise(options.plain_errors and wrong or {err = 'ERR ' .. wrong}, 0)
    end
  end
  local reply = host.call(signed(...))
  if kind(reply) == 'table' then
    if reply.err and not protected then raise(options.plain_errors and reply.err or reply, 0) end
    if options.sorted and sorted[((...)):lower()] and not reply.err then sort(reply, before) end
  end
  return reply
end

local function lacking(name)
  return function() host.lack(name) raise('not run: ' .. name, 0) end
end

-- Ends a script that asks for the order of several keys that are no numbers.
local function ask_for_order(t)
  local others = 0
  for k in next, t do
    if kind(k) ~= 'number' then others = others + 1 end
    if others > 1 then lacking('the order in which Valkey 9 keeps the keys of a table')() end
  end
end
if options.scattered then
  _G.pairs = function(t, ...)
    if kind(t) == 'table' then ask_for_order(t) end
    return pairs(t, ...)
  end
  _G.next = function(t, ...)
    if kind(t) == 'table' and (...) == nil then ask_for_order(t) end
    return next(t, ...)
  end
else
  ask_for_order = function() end
end

redis = {
  call = function(...) return run(false, ...) end,
  pcall = function(...) return run(true, ...) end,
  status_reply = function(message) return {ok = message} end,
  error_reply = function(message) return {err = message} end,
  sha1hex = function(...)
    if select('#', ...) ~= 1 then raise('wrong number of arguments', 2) end
    return host.sha1hex(text((...)))
  end,
  log = function() end,
  set_repl = function() return true end,
  replicate_commands = function() return true end,
  breakpoint = function() return false end,
  debug = function() end,
  setresp = function(version)
    if version ~= 2 then host.lack('redis.setresp(3)') raise('not run: redis.setresp(3)', 0) end
  end,
  acl_check_cmd = lacking('redis.acl_check_cmd'),
  register_function = nil,
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
}
for name, value in pairs(options.versions) do redis[name] = value end
if options.unversioned then
  setmetatable(redis, {__index = function(_, name)
    if name == 'REDIS_VERSION' or name == 'REDIS_VERSION_NUM' then lacking('redis.' .. name)() end
  end})
end
if options.server then server = redis end

-- Scripts get the same random numbers each time.
math.random = function(low, high)
  local r = host.random()
  if low == nil then return r end
  if high == nil then low, high = 1, low end
  if low > high then raise("bad argument #1 to 'random' (interval is empty)", 2) end
  return floor(r * (high - low + 1)) + low
end
math.randomseed = function(seed) host.randomseed(seed) end

-- cjson

local escapes = {['"'] = '\\"', ['\\'] = '\\\\', ['/'] = '\\/', ['\b'] = '\\b', ['\t'] = '\\t', ['\n'] = '\\n',
                 ['\f'] = '\\f', ['\r'] = '\\r'}
for i = 0, 31 do
  local c = char(i)
  escapes[c] = escapes[c] or format('\\u%04x', i)
end
escapes['\127'] = '\\u007f'

local function quoted(s) return '"' .. gsub(s, '[%z\1-\31"\\/\127]', escapes) .. '"' end

local digits = 14

local function json_number(n)
  if n ~= n or n == 1 / 0 or n == -1 / 0 then raise('Cannot serialise number: must not be NaN or Inf', 0) end
  return format('%.' .. digits .. 'g', n)
end

local function array_length(t)
  local longest, items = 0, 0
  for k in next, t do
    if kind(k) ~= 'number' or k < 1 or floor(k) ~= k then return -1 end
    if k > longest then longest = k end
    items = items + 1
  end
  if longest > items * 2 and longest > 10 then raise('Cannot serialise table: excessively sparse array', 0) end
  return longest
end

local function encode(out, value, depth)
  local t = kind(value)
  if t == 'string' then out[#out + 1] = quoted(value)
  elseif t == 'number' then out[#out + 1] = json_number(value)
  elseif t == 'boolean' then out[#out + 1] = text(value)
  elseif t == 'nil' or value == null then out[#out + 1] = 'null'
  elseif t == 'table' then
    depth = depth + 1
    if depth > 1000 then raise('Cannot serialise, excessive depth (' .. depth .. ')', 0) end
    local length = array_length(value)
    if length > 0 then
      out[#out + 1] = '['
      for i = 1, length do
        if i > 1 then out[#out + 1] = ',' end
        encode(out, rawget(value, i), depth)
      end
      out[#out + 1] = ']'
    else
      ask_for_order(value)
      out[#out + 1] = '{'
      local first = true
      for k, v in next, value do
        if not first then out[#out + 1] = ',' end
        first = false
        if kind(k) == 'number' then out[#out + 1] = '"' .. json_number(k) .. '":'
        elseif kind(k) == 'string' then out[#out + 1] = quoted(k) .. ':'
        else raise('Cannot serialise table: table key must be a number or string', 0) end
        encode(out, v, depth)
      end
      out[#out + 1] = '}'
    end
  else
    raise('Cannot serialise ' .. t .. ': type not supported', 0)
  end
end

local unescapes = {['"'] = '"', ['\\'] = '\\', ['/'] = '/', b = '\b', t = '\t', n = '\n', f = '\f', r = '\r'}

local function wrong_at(what, at)
  raise('Expected value but found ' .. what .. ' at character ' .. at, 0)
end

local function code_point(s, at)
  local hex = find(s, '^%x%x%x%x', at) and number(sub(s, at, at + 3), 16)
  if not hex then wrong_at('invalid unicode escape code', at) end
  return hex
end

local function utf8(c)
  if c < 0x80 then return char(c) end
  if c < 0x800 then return char(0xC0 + floor(c / 64), 0x80 + c % 64) end
  if c < 0x10000 then return char(0xE0 + floor(c / 4096), 0x80 + floor(c / 64) % 64, 0x80 + c % 64) end
  return char(0xF0 + floor(c / 262144), 0x80 + floor(c / 4096) % 64, 0x80 + floor(c / 64) % 64, 0x80 + c % 64)
end

local function decode_string(s, at)
  local out = {}
  local from = at + 1
  while true do
    local stop = find(s, '["\\%z]', from)
    if not stop or byte(s, stop) == 0 then wrong_at('unexpected end of string', at) end
    out[#out + 1] = sub(s, from, stop - 1)
    if byte(s, stop) == 34 then return concat(out), stop + 1 end
    local escape = sub(s, stop + 1, stop + 1)
    if escape == 'u' then
      local c = code_point(s, stop + 2)
      from = stop + 6
      if c >= 0xD800 and c < 0xE000 then
        if c >= 0xDC00 or sub(s, from, from + 1) ~= '\\u' then wrong_at('invalid unicode escape code', stop) end
        local low = code_point(s, from + 2)
        if low < 0xDC00 or low > 0xDFFF then wrong_at('invalid unicode escape code', stop) end
        c = 0x10000 + (c - 0xD800) * 1024 + low - 0xDC00
        from = from + 6
      end
      out[#out + 1] = utf8(c)
    else
      local plain = unescapes[escape]
      if not plain then wrong_at('invalid escape code', stop) end
      out[#out + 1] = plain
      from = stop + 2
    end
  end
end

local function blank(s, at) return find(s, '[^ \t\r\n]', at) or #s + 1 end

local decode_value

local function decode_table(s, at, depth, closing)
  depth = depth + 1
  if depth > 1000 then raise('Found too many nested data structures (' .. depth .. ')', 0) end
  local made = {}
  local i = 0
  at = blank(s, at + 1)
  if sub(s, at, at) == closing then return made, at + 1 end
  while true do
    local value
    if closing == '}' then
      if sub(s, at, at) ~= '"' then raise('Expected object key string but found other at character ' .. at, 0) end
      local key
      key, at = decode_string(s, at)
      at = blank(s, at)
      if sub(s, at, at) ~= ':' then raise('Expected colon but found other at character ' .. at, 0) end
      value, at = decode_value(s, blank(s, at + 1), depth)
      rawset(made, key, value)
    else
      i = i + 1
      value, at = decode_value(s, at, depth)
      made[i] = value
    end
    at = blank(s, at)
    local c = sub(s, at, at)
    if c == closing then return made, at + 1 end
    if c ~= ',' then raise('Expected comma or end but found other at character ' .. at, 0) end
    at = blank(s, at + 1)
  end
end

function decode_value(s, at, depth)
  local c = sub(s, at, at)
  if c == '{' then return decode_table(s, at, depth, '}') end
  if c == '[' then return decode_table(s, at, depth, ']') end
  if c == '"' then return decode_string(s, at) end
  if sub(s, at, at + 3) == 'true' then return true, at + 4 end
  if sub(s, at, at + 4) == 'false' then return false, at + 5 end
  if sub(s, at, at + 3) == 'null' then return null, at + 4 end
  local value, length = host.strtod(sub(s, at, at + 400))
  if not value then wrong_at('invalid token', at) end
  return value, at + length
end

cjson = {
  null = null,
  encode = function(...)
    if select('#', ...) ~= 1 then raise('bad argument #1 to \'encode\' (expected 1 argument)', 2) end
    local out = {}
    encode(out, (...), 0)
    return concat(out)
  end,
  decode = function(s)
    s = kind(s) == 'number' and text(s) or s
    if kind(s) ~= 'string' then raise("bad argument #1 to 'decode' (string expected, got " .. kind(s) .. ')', 2) end
    local value, at = decode_value(s, blank(s, 1), 0)
    at = blank(s, at)
    if at <= #s then raise('Expected the end but found other at character ' .. at, 0) end
    return value
  end,
  _NAME = 'cjson',
  _VERSION = '2.1.0',
}
for _, name in pairs({'new', 'encode_sparse_array', 'encode_max_depth', 'decode_max_depth', 'encode_number_precision',
                      'encode_keep_buffer', 'encode_invalid_numbers', 'decode_invalid_numbers',
                      'decode_array_with_array_mt'}) do
  cjson[name] = lacking('cjson.' .. name)
end

-- cmsgpack

local pack_number, pack_text, pack_head = host.pack_number, host.pack_text, host.pack_head

local function is_array(t)
  local longest, items = 0, 0
  for k in next, t do
    if kind(k) ~= 'number' or k <= 0 or floor(k) ~= k then return false end
    if k > longest then longest = k end
    items = items + 1
  end
  return longest == items, items
end

local function pack(out, value, level)
  local t = kind(value)
  if t == 'string' then out[#out + 1] = pack_text(value)
  elseif t == 'number' then out[#out + 1] = pack_number(value)
  elseif t == 'boolean' then out[#out + 1] = value and '\195' or '\194'
  elseif t == 'table' and level < 16 then
    local array, items = is_array(value)
    if array then
      out[#out + 1] = pack_head('array', items)
      for i = 1, items do pack(out, rawget(value, i), level + 1) end
    else
      ask_for_order(value)
      items = 0
      for _ in next, value do items = items + 1 end
      out[#out + 1] = pack_head('map', items)
      for k, v in next, value do
        pack(out, k, level + 1)
        pack(out, v, level + 1)
      end
    end
  else
    out[#out + 1] = '\192'
  end
end

local function unpacked(ok, ...)
  if not ok then raise((...), 0) end
  return ...
end

cmsgpack = {
  pack = function(...)
    local count = select('#', ...)
    if count == 0 then raise("bad argument #0 to 'pack' (MessagePack pack needs input.)", 2) end
    local out = {}
    for i = 1, count do pack(out, (select(i, ...)), 0) end
    return concat(out)
  end,
  unpack = function(s) return unpacked(host.unpack(s)) end,
  unpack_one = lacking('cmsgpack.unpack_one'),
  unpack_limit = lacking('cmsgpack.unpack_limit'),
  _NAME = 'cmsgpack',
  _VERSION = 'lua-cmsgpack 0.4.0',
}

-- struct and bit

struct = {
  pack = function(...) return unpacked(host.struct_pack(...)) end,
  unpack = function(...) return unpacked(host.struct_unpack(...)) end,
  size = function(...) return unpacked(host.struct_size(...)) end,
}
bit = {}
for _, name in pairs({'tobit', 'tohex', 'bnot', 'band', 'bor', 'bxor', 'lshift', 'rshift', 'arshift', 'rol', 'ror',
                      'bswap'}) do
  bit[name] = function(...)
    for i = 1, select('#', ...) do
      local given = (select(i, ...))
      if not number(given) then
        raise("bad argument #" .. i .. " to '" .. name .. "' (number expected, got " .. kind(given) .. ')', 2)
      end
    end
    return unpacked(host.bit(name, ...))
  end
end

-- Scripts neither make nor read global variables that are not there.
setmetatable(_G, {
  __newindex = function(_, name)
    raise("Script attempted to create global variable '" .. text(name) .. "'", 2)
  end,
  __metatable = false,
  __index = function(_, name)
    if name == 'debug' then return nil end -- lupa looks for it, outside of any protected call
    raise("Script attempted to access nonexistent global variable '" .. text(name) .. "'", 2)
  end,
})

return function(code, keys, args)
  rawset(_G, 'KEYS', keys)
  rawset(_G, 'ARGV', args)
  if options.reseeds then host.randomseed(0) end
  local body, wrong = load_only_text(code, '@user_script')
  if not body then return false, 'ERR Error compiling script (new function): ' .. wrong end
  local fine, result = protect(body)
  if fine then return true, result end
  if kind(result) == 'table' then
    local message = rawget(result, 'err')
    return false, kind(message) == 'string' and message or 'ERR unknown error'
  end
  return false, kind(result) == 'string' and result or 'ERR unknown error'
end
