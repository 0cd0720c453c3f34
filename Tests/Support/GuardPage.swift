import Glibc

/// Memory whose end is the end of what may be read: a byte further is a page without access, so reading it is a crash.
public final class GuardPage {
  private var base: UnsafeMutableRawPointer?
  /// Bytes before the page without access.
  private var room = 0
  private static let page = Int(sysconf(Int32(_SC_PAGESIZE)))

  public init() {}

  deinit { release() }

  /// Places a copy of the bytes right before the guard. Valid until the next call.
  public func hold(_ bytes: ArraySlice<UInt8>) -> UnsafeBufferPointer<UInt8> {
    if base == nil || bytes.count > room { map(bytes.count) }
    guard let base else { fatalError("no memory to guard") }
    let start = base + (room - bytes.count)
    bytes.withUnsafeBytes { if let from = $0.baseAddress { start.copyMemory(from: from, byteCount: $0.count) } }
    return UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: bytes.count)
  }

  private func map(_ count: Int) {
    release()
    let page = GuardPage.page
    room = max((count + page - 1) / page * page, 2 * page)
    let mapped = mmap(nil, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != MAP_FAILED, mprotect(mapped + room, page, PROT_NONE) == 0 else { return }
    base = mapped
  }

  private func release() {
    if let base { munmap(base, room + GuardPage.page) }
    base = nil
  }
}
