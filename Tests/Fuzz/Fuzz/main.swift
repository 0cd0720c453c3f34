import CFuzzer
import Glibc

/// What can be fuzzed. Each takes any bytes at all and stops the process when a promise is broken.
let targets: [String: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt] = [
  "request": { run(fuzzRequest, $0, $1) },
  "target": { run(fuzzTarget, $0, $1) },
  "chunked": { run(fuzzChunked, $0, $1) },
  "connection": { run(fuzzConnection, $0, $1) },
  "plan": { run(fuzzPlan, $0, $1) },
  "response": { run(fuzzResponse, $0, $1) },
  "json": { run(fuzzJSON, $0, $1) },
  "connector": { run(fuzzConnector, $0, $1) },
  "agent": { run(fuzzAgent, $0, $1) },
  "config": { run(fuzzConfig, $0, $1) },
]

func run(_ target: ([UInt8]) -> Void, _ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  target(Array(UnsafeBufferPointer(start: data, count: count)))
  return 0
}

// The target's name goes; what is behind it is for libFuzzer.
var arguments = CommandLine.unsafeArgv
let name = CommandLine.argc > 1 ? arguments[1].map { String(cString: $0) } ?? "" : ""
guard let target = targets[name] else {
  print("usage: fuzz \(targets.keys.sorted().joined(separator: "|")) [-libfuzzer_option…] [CORPUS…]")
  exit(64)
}
arguments[1] = arguments[0]
var count = CommandLine.argc - 1
var rest: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = arguments + 1
exit(LLVMFuzzerRunDriver(&count, &rest, target))
