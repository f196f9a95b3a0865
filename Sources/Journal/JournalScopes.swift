/// The pairs of client and instance that have keys, by number, and how many keys each client has.
///
/// Both names come from policies, so there are few; they are kept until the process ends.
struct JournalScopes: Sendable {
  private struct Scope {
    let client: Int
    let instance: String
  }

  struct Client {
    let name: String
    var keys = 0
    /// Of its records and bodies in all segments.
    var bytes = 0
    var hasWarning = false
    var hasDiskWarning = false
  }

  private var scopes: [Scope] = []
  private var numbers: [Name: Int] = [:]
  private var clientNumbers: [String: Int] = [:]
  private(set) var clients: [Client] = []
  /// How often the number of a client's keys has changed.
  private(set) var changes = 0
  /// What clients have in each segment.
  private var bytes: [UInt32: [Int: Int]] = [:]
  /// The pair of the record that was read last.
  private var last: (client: [UInt8], instance: [UInt8], number: Int) = ([], [], -1)

  private struct Name: Hashable {
    let client: String
    let instance: String
  }

  /// The number of a pair; nil if there are too many.
  mutating func number(client: String, instance: String) -> Int? {
    let name = Name(client: client, instance: instance)
    return numbers[name] ?? add(name)
  }

  /// The same for names in a record.
  mutating func number(_ bytes: Span<UInt8>, client: Range<Int>, instance: Range<Int>) -> Int? {
    if last.number >= 0, bytes.has(last.client, at: client), bytes.has(last.instance, at: instance) {
      return last.number
    }
    let number = number(client: bytes.text(client), instance: bytes.text(instance))
    if let number { last = (bytes.array(client), bytes.array(instance), number) }
    return number
  }

  func client(of scope: Int) -> String { clients[scopes[scope].client].name }
  func instance(of scope: Int) -> String { scopes[scope].instance }
  func keysOfClient(_ scope: Int) -> Int { clients[scopes[scope].client].keys }

  mutating func countKey(_ scope: Int, _ change: Int) {
    clients[scopes[scope].client].keys += change
    changes &+= 1
  }

  func bytesOfClient(_ scope: Int) -> Int { clients[scopes[scope].client].bytes }

  mutating func countBytes(_ scope: Int, in segment: UInt32, _ count: Int) {
    let client = scopes[scope].client
    clients[client].bytes += count
    bytes[segment, default: [:]][client, default: 0] += count
  }

  /// The segment is removed.
  mutating func forgetBytes(in segment: UInt32) {
    for (client, count) in bytes.removeValue(forKey: segment) ?? [:] { clients[client].bytes -= count }
  }

  /// The pairs with this client and instance; nil means all.
  func matching(client: String?, instance: String?) -> Set<Int> {
    Set(
      scopes.indices.filter { scope in
        (client == nil || self.client(of: scope) == client) && (instance == nil || scopes[scope].instance == instance)
      })
  }

  mutating func setWarnings(_ client: Int, keys: Bool, disk: Bool) {
    clients[client].hasWarning = keys
    clients[client].hasDiskWarning = disk
  }

  private mutating func add(_ name: Name) -> Int? {
    guard scopes.count < KeyIndex.scopesMax else { return nil }
    let number = clientNumbers[name.client] ?? clients.count
    if number == clients.count {
      clientNumbers[name.client] = number
      clients.append(Client(name: name.client))
    }
    scopes.append(Scope(client: number, instance: name.instance))
    numbers[name] = scopes.count - 1
    return scopes.count - 1
  }
}

extension Span<UInt8> {
  fileprivate func has(_ name: [UInt8], at range: Range<Int>) -> Bool {
    range.count == name.count && name.indices.allSatisfy { name[$0] == self[range.lowerBound + $0] }
  }
}
