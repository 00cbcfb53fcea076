-- wrk's script: a cookie for each request from a file, in turns, and the figures as one line of JSON.
-- usage: wrk ... -s load.lua URL -- FILE CHECK    (FILE: a cookie a line, may be empty; CHECK: count answers but 200)

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  requests, at, other = {}, 0, 0
  for line in io.lines(args[1]) do
    wrk.headers["Cookie"] = line
    table.insert(requests, wrk.format())
  end
  wrk.headers["Cookie"] = nil
  if #requests == 0 then requests = { wrk.format() } end
  -- Threads begin apart, so that no two ask with the same cookie at the same time.
  at = math.floor(number * #requests / 2)
  if args[2] == "check" then
    response = function(status) if status ~= 200 then other = other + 1 end end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local other = 0
  for _, thread in ipairs(threads) do other = other + thread:get("other") end
  local e = summary.errors
  io.write(string.format(
    '\nFIGURES {"requests": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p99": %d, "not_200": %d,'
    .. ' "status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99), other,
    e.status, e.connect, e.read, e.write, e.timeout))
end
