import Glibc
import Support
import Testing

@Test func `a read behind the guarded bytes ends the process`() async {
  // By SIGSEGV, or by the report of a sanitizer.
  await #expect(processExitsWith: .failure) {
    let guarded = GuardPage()
    let bytes = guarded.hold([1, 2, 3])
    precondition(bytes[2] == 3)
    print(UnsafeRawPointer(bytes.baseAddress!).load(fromByteOffset: 3, as: UInt8.self))
    exit(EXIT_SUCCESS)
  }
}
