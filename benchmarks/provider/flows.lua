-- wrk's script: tokens for a client itself, or whole code flows of a browser with a session.
-- usage: wrk -tN -cN ... -s flows.lua ORIGIN -- FILE
-- FILE, a line each: the token endpoint's path, the Authorization header, the form (for flows all of it but the code,
-- which comes last), and for flows the address that asks for a code and the Cookie header.
-- Each thread has one connection, so the code it was given last is the one it redeems next.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local lines = {}
  for line in io.lines(args[1]) do table.insert(lines, line) end
  path, form, flows, wrong, code = lines[1], lines[3], 0, 0, nil
  headers = { ["Content-Type"] = "application/x-www-form-urlencoded", ["Authorization"] = lines[2] }
  if lines[4] then
    ask = wrk.format("GET", lines[4], { ["Cookie"] = lines[5] })
  else
    fixed = wrk.format("POST", path, headers, form)
  end
end

function request()
  if fixed then return fixed end
  redeeming = code ~= nil
  if not redeeming then return ask end
  local redeem = wrk.format("POST", path, headers, form .. code)
  code = nil
  return redeem
end

function response(status, headers)
  if fixed or redeeming then
    if status == 200 then flows = flows + 1 else wrong = wrong + 1 end
    return
  end
  code = string.match(headers["Location"] or headers["location"] or "", "[?&]code=([^&]+)")
  if code == nil then wrong = wrong + 1 end
end

function done(summary, latency)
  local flows, wrong = 0, 0
  for _, thread in ipairs(threads) do
    flows, wrong = flows + thread:get("flows"), wrong + thread:get("wrong")
  end
  local e = summary.errors
  io.write(string.format(
    '\nFIGURES {"done": %d, "microseconds": %d, "p50": %d, "p99": %d, "wrong": %d, "broken": %d}\n',
    flows, summary.duration, latency:percentile(50), latency:percentile(99), wrong,
    e.connect + e.read + e.write + e.timeout))
end
