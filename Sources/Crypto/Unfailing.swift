/// Whether OpenSSL did what it was given everything for.
///
/// It refuses such a call only when memory is exhausted, or when it was built without an algorithm that every build has. The
/// process ends then: nobody could do better, and whoever went on would take what was not hashed, signed or sealed for what was.
@inline(__always)
func mustSucceed(_ isDone: Bool, _ failure: StaticString) {
  guard isDone else { fatalError("\(failure)") }
}

/// What OpenSSL makes, for the same reasons.
@inline(__always)
@unsafe func mustExist(_ made: OpaquePointer?, _ failure: StaticString = "out of memory") -> OpaquePointer {
  guard let made = unsafe made else { fatalError("\(failure)") }
  return unsafe made
}
