import Testing

@testable import Policies

@Suite struct ClientKeyTests {
  private func keys(of ids: [String]) throws -> [String: UInt32] {
    let entries = ids.map { #""\#($0)": {"scopes": [], "instances": []}"# }.joined(separator: ", ")
    let policy = try #require(try FolderFiles(["clients.json": #"{"clients": {\#(entries)}}"#]).load().policy)
    return Dictionary(
      uniqueKeysWithValues: policy.clients.indices.map { index in
        (policy.clients[index].id.text, policy.clients.clientKey(of: index))
      })
  }

  @Test func `a client keeps its key, whatever other clients there are`() throws {
    let ids = (0..<2_000).map { "client-\($0)" } + ["a", "b", String(repeating: "c", count: 64)]
    let all = try keys(of: ids)
    #expect(Set(all.values).count == ids.count && !all.values.contains(0))
    let some = try keys(of: ["new", "b", "client-1999", "a"])
    for id in ["b", "client-1999", "a"] { #expect(some[id] == all[id]) }
  }
}
