import Testing

@testable import Broker

private func find(_ table: NameTable, _ name: String, tag: UInt32 = 0) -> Int? {
  let bytes = Array(name.utf8)
  return table.find(bytes.span, tag: tag)
}

private func insert(_ table: inout NameTable, _ name: String, tag: UInt32 = 0, value: Int) {
  let bytes = Array(name.utf8)
  table.insert(bytes.span, tag: tag, value: value)
}

@Test func `a thousand names are all found, and no others`() {
  var table = NameTable(ignoringCase: false)
  for i in 0..<1000 { insert(&table, "route-\(i)", value: i) }
  #expect(table.count == 1000)
  for i in 0..<1000 {
    #expect(find(table, "route-\(i)") == i)
    #expect(find(table, "Route-\(i)") == nil)
    #expect(find(table, "route-\(i)x") == nil)
    #expect(find(table, "route-\(i)", tag: 1) == nil)
  }
  #expect(find(table, "") == nil)
}

@Test func `an empty table finds nothing, not even an empty name`() {
  #expect(find(NameTable(ignoringCase: true), "") == nil)
}

@Test func `names of a table that ignores case are the same in any case, and differ by tag`() {
  var table = NameTable(ignoringCase: true)
  insert(&table, "API.example.com", tag: 443, value: 1)
  insert(&table, "api.EXAMPLE.com", tag: 80, value: 2)
  insert(&table, "api.example.COM", tag: 443, value: 3)
  #expect(table.count == 2)
  #expect(find(table, "api.example.com", tag: 443) == 3)
  #expect(find(table, "API.EXAMPLE.COM", tag: 80) == 2)
  #expect(find(table, "api.example.com") == nil)
}
