-- What wrk asks, from the environment, and what it found, as one line of JSON. There is no function `request`: the request
-- is made once, so that Lua takes no part in the load.
wrk.method = os.getenv("BENCHMARK_METHOD")
local bytes = tonumber(os.getenv("BENCHMARK_BODY"))
wrk.headers["User-Agent"] = "benchmark/1.0"
wrk.headers["Accept"] = "application/json"
wrk.headers["Accept-Encoding"] = "gzip, deflate"
wrk.headers["Accept-Language"] = "en"
if bytes > 0 then
  wrk.body = string.rep("0123456789abcdef", bytes / 16)
  wrk.headers["Content-Type"] = "application/octet-stream"
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "all": %d, "seconds": %.6f, "p50_us": %.1f, "p99_us": %.1f, "failed": %d}\n',
    summary.requests, summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
