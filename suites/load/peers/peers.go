package main

import (
	"os"
	"path/filepath"
	"strings"
)

// secret is that of deliveries which are signed. It protects nothing.
const secret = "whsec_aG9va2FudmlsIGJlbmNobWFyayBrZXkgMDAx"

// peer is a load generator: a package of this module, a module of somebody else's, or
// a command that must be installed.
type peer struct {
	name, title string
	signs       string
	pkg         string
	module      string
	version     string
	command     string
	args        []string
	exit        int // what it ends with: the sink verifies nothing, which hookanvil finds
}

var peers = []peer{
	// The others do not say that a machine was too busy to tell anything: --max-lag.
	{name: "hookanvil", title: "hookanvil load", signs: "each anew", pkg: "github.com/hookanvil/hookanvil/cmd/hookanvil", command: "hookanvil",
		args: []string{"load", "--target", "{url}", "--profile", "standard-webhooks", "--secret", "env:HOOKANVIL_SECRET", "--closed",
			"--connections", "{connections}", "--duration", "{time}", "--size", "{size}", "--max-lag", "1s"}, exit: 1},
	{name: "vegeta", title: "vegeta", signs: "no", module: "github.com/tsenart/vegeta/v12", version: "v12.13.0", command: "vegeta",
		args: []string{"attack", "-targets", "{dir}/targets", "-rate", "0", "-max-workers", "{connections}", "-workers", "{connections}", "-connections", "{connections}", "-duration", "{time}", "-output", "/dev/null"}},
	{name: "hey", title: "hey", signs: "no", module: "github.com/rakyll/hey", version: "v0.1.5", command: "hey",
		args: []string{"-z", "{time}", "-c", "{connections}", "-m", "POST", "-T", "application/json", "-D", "{dir}/body", "{url}"}},
	{name: "fortio", title: "fortio, fast client", signs: "no", module: "fortio.org/fortio", version: "v1.66.3", command: "fortio",
		args: []string{"load", "-qps", "0", "-c", "{connections}", "-t", "{time}", "-content-type", "application/json", "-payload-file", "{dir}/body", "-loglevel", "Error", "-sequential-warmup", "{url}"}},
	{name: "bombardier", title: "bombardier", signs: "no", module: "github.com/codesenberg/bombardier", version: "v1.2.6", command: "bombardier",
		args: []string{"-c", "{connections}", "-d", "{time}", "-m", "POST", "-H", "Content-Type: application/json", "-f", "{dir}/body", "-p", "r", "{url}"}},
	{name: "k6", title: "k6, signing in JavaScript", signs: "each anew", module: "go.k6.io/k6", version: "v1.8.1", command: "k6",
		args: []string{"run", "--quiet", "--no-usage-report", "--vus", "{connections}", "--duration", "{time}", "{dir}/k6.js"}},
	{name: "wrk", title: "wrk", signs: "no", version: "4.1", command: "wrk",
		args: []string{"-t", "2", "-c", "{connections}", "-d", "{seconds}s", "-s", "{dir}/wrk.lua", "{url}"}},
	{name: "wrk-signing", title: "wrk, signing in Lua", signs: "each anew", version: "4.1", command: "wrk",
		args: []string{"-t", "2", "-c", "{connections}", "-d", "{seconds}s", "-s", "{dir}/wrk-signing.lua", "{url}"}},
	{name: "h2load", title: "h2load, HTTP/1.1", signs: "no", version: "1.52", command: "h2load",
		args: []string{"--h1", "-t", "2", "-c", "{connections}", "-D", "{seconds}", "-d", "{dir}/body", "-H", "Content-Type: application/json", "{url}"}},
	{name: "autocannon", title: "autocannon", signs: "no", version: "9.0.0", command: "npx",
		args: []string{"--yes", "autocannon@9.0.0", "-c", "{connections}", "-d", "{seconds}", "-m", "POST", "-i", "{dir}/body", "-H", "Content-Type=application/json", "{url}"}},
}

// write writes the files that the generators read.
func (b *bench) write() error {
	body := `{"type":"invoice.paid","data":{"padding":"` + strings.Repeat("x", b.size-44) + `"}}`
	words := strings.NewReplacer("{url}", b.sink.url(), "{body}", body, "{dir}", b.dir, "{secret}", secret)
	for name, text := range map[string]string{
		"body": body, "targets": "POST {url}\nContent-Type: application/json\n@{dir}/body\n",
		"k6.js": k6Script, "wrk.lua": wrkScript, "wrk-signing.lua": wrkSigning,
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(words.Replace(text)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

const k6Script = `
import http from 'k6/http';
import crypto from 'k6/crypto';
import encoding from 'k6/encoding';

const key = encoding.b64decode('{secret}'.substring('whsec_'.length));
const body = '{body}';
let n = 0;

export default function () {
  const id = 'msg_' + __VU + '_' + (n++);
  const at = String(Math.floor(Date.now() / 1000));
  const code = crypto.hmac('sha256', key, id + '.' + at + '.' + body, 'base64');
  http.post('{url}', body, {headers: {
    'Content-Type': 'application/json', 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': 'v1,' + code,
  }});
}
`

const wrkScript = `
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{body}'
`

// wrkSigning has SHA-256 in Lua, since wrk comes without any: FIPS 180-4, with the
// bit library of LuaJIT.
const wrkSigning = `
local bit = require("bit")
local band, bxor, bnot, ror, rshift, tobit = bit.band, bit.bxor, bit.bnot, bit.ror, bit.rshift, bit.tobit
local byte, char, rep, sub, concat = string.byte, string.char, string.rep, string.sub, table.concat

local function fraction(x, root)
  local r = x ^ (1 / root)
  return tobit(math.floor((r - math.floor(r)) * 4294967296))
end

local K, H0, n, candidate = {}, {}, 0, 2
while n < 64 do
  local prime = true
  for d = 2, math.floor(math.sqrt(candidate)) do
    if candidate % d == 0 then prime = false; break end
  end
  if prime then
    if n < 8 then H0[n + 1] = fraction(candidate, 2) end
    K[n + 1] = fraction(candidate, 3)
    n = n + 1
  end
  candidate = candidate + 1
end

local W = {}
local function block(h, s, at)
  for i = 1, 16 do
    local a, b, c, d = byte(s, at, at + 3)
    W[i] = bit.bor(bit.lshift(a, 24), bit.lshift(b, 16), bit.lshift(c, 8), d)
    at = at + 4
  end
  for i = 17, 64 do
    local x, y = W[i - 15], W[i - 2]
    W[i] = tobit(W[i - 16] + bxor(ror(x, 7), ror(x, 18), rshift(x, 3)) + W[i - 7] + bxor(ror(y, 17), ror(y, 19), rshift(y, 10)))
  end
  local a, b, c, d, e, f, g, k = h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8]
  for i = 1, 64 do
    local t = tobit(k + bxor(ror(e, 6), ror(e, 11), ror(e, 25)) + bxor(band(e, f), band(bnot(e), g)) + K[i] + W[i])
    local u = tobit(bxor(ror(a, 2), ror(a, 13), ror(a, 22)) + bxor(band(a, b), band(a, c), band(b, c)))
    k, g, f, e, d, c, b, a = g, f, e, tobit(d + t), c, b, a, tobit(t + u)
  end
  h[1], h[2], h[3], h[4] = tobit(h[1] + a), tobit(h[2] + b), tobit(h[3] + c), tobit(h[4] + d)
  h[5], h[6], h[7], h[8] = tobit(h[5] + e), tobit(h[6] + f), tobit(h[7] + g), tobit(h[8] + k)
end

local function word(x) return char(band(rshift(x, 24), 255), band(rshift(x, 16), 255), band(rshift(x, 8), 255), band(x, 255)) end

-- sum continues the state after so many bytes that were hashed before.
local function sum(state, before, s)
  local h = {unpack(state)}
  local bits = (before + #s) * 8
  s = s .. "\128" .. rep("\0", (55 - #s) % 64) .. word(0) .. word(bits)
  for at = 1, #s, 64 do block(h, s, at) end
  local out = {}
  for i = 1, 8 do out[i] = word(h[i]) end
  return concat(out)
end

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function encode(s)
  local out = {}
  for i = 1, #s, 3 do
    local a, b, c = byte(s, i, i + 2)
    local v = a * 65536 + (b or 0) * 256 + (c or 0)
    for j = 3, 0, -1 do
      local x = math.floor(v / 64 ^ j) % 64
      out[#out + 1] = (j == 1 and not b or j == 0 and not c) and "=" or sub(alphabet, x + 1, x + 1)
    end
  end
  return concat(out)
end

local function decode(s)
  local out, v, n = {}, 0, 0
  for c in s:gmatch("[^=]") do
    v, n = v * 64 + alphabet:find(c, 1, true) - 1, n + 6
    if n >= 8 then
      n = n - 8
      out[#out + 1] = char(math.floor(v / 2 ^ n))
      v = v % 2 ^ n
    end
  end
  return concat(out)
end

local function padded(key, with)
  local out = {}
  for i = 1, 64 do out[i] = char(bxor(byte(key, i) or 0, with)) end
  return concat(out)
end

local key = decode(sub("{secret}", 7))
local inner, outer = {unpack(H0)}, {unpack(H0)}
block(inner, padded(key, 0x36), 1)
block(outer, padded(key, 0x5c), 1)
local function hmac(s) return sum(outer, 64, sum(inner, 64, s)) end

local body, count, seed = '{body}', 0, tostring({}):match("0x(%x+)")
function request()
  count = count + 1
  local id, at = "msg_" .. seed .. "_" .. count, tostring(os.time())
  return wrk.format("POST", nil, {
    ["Content-Type"] = "application/json", ["webhook-id"] = id, ["webhook-timestamp"] = at,
    ["webhook-signature"] = "v1," .. encode(hmac(id .. "." .. at .. "." .. body)),
  }, body)
end
`
