/// Records of one kind by id, in the order in which they were created.
struct SandboxTable<Record: Sendable>: Sendable {
  private var records: [String: Record] = [:]
  private var ids: [String] = []

  var count: Int { records.count }

  var newestFirst: some Sequence<Record> { ids.reversed().lazy.compactMap { records[$0] } }

  subscript(id: String) -> Record? { records[id] }

  mutating func insert(_ record: Record, id: String) {
    precondition(records[id] == nil, "ids are unique")
    records[id] = record
    ids.append(id)
  }

  mutating func update(_ id: String, _ change: (inout Record) -> Void) {
    guard var record = records[id] else { return }
    change(&record)
    records[id] = record
  }

  mutating func remove(_ id: String) {
    records[id] = nil
    ids.removeAll { $0 == id }
  }
}
