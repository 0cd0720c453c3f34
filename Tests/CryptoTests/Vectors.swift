import Glibc

/// The bytes of a file below Tests/Vectors; one that is not there is a mistake of the test.
func vectors(_ file: String) -> [UInt8] {
  let path = String(#filePath.dropLast("CryptoTests/Vectors.swift".count)) + "Vectors/\(file)"
  guard let file = fopen(path, "r") else { fatalError("cannot read \(path)") }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65536)
  while true {
    let count = fread(&chunk, 1, chunk.count, file)
    guard count > 0 else { return bytes }
    bytes += chunk[..<count]
  }
}
