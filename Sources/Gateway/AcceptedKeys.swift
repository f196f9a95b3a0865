import Digests
import Dispatch
import FoundationEssentials
import Policies
import Synchronization
import System
import Upstream

/// Which of an instance's several keys is in use, kept over a restart in the midst of a rotation: else the first writes
/// would be refused once more.
///
/// The file names 32 bits of each key's digest, enough to tell eight keys apart and too few to find one by.
final class AcceptedKeys: Sendable {
  static let fileName = "accepted-keys.json"
  private static let bytesMax = 16 << 20
  private static let delayMilliseconds = 200

  private let path: String
  /// By the instances' names, as they were at the start.
  private let remembered: [String: String]
  private let report: @Sendable (String) -> Void
  private let queue = DispatchQueue(label: "accepted-keys")
  /// The states to write, once a write is due.
  private let pending = Mutex<InstanceStates?>(nil)
  private let hasFailed = Atomic<Bool>(false)

  init(in folder: String, report: @escaping @Sendable (String) -> Void) {
    path = "\(folder)/\(Self.fileName)"
    self.report = report
    // What cannot be read is forgotten: it only spares refusals.
    let bytes = Self.bytes(of: path)
    remembered = bytes.flatMap { try? JSONDecoder().decode([String: String].self, from: Data($0)) } ?? [:]
  }

  private static func bytes(of path: String) -> [UInt8]? {
    guard let file = try? InputFile(path: path), let count = file.byteCount, count <= bytesMax else { return nil }
    return try? file.read(count)
  }

  /// Which key an instance was using when the gateway ended; 0 where that is not known.
  func index(of instance: Instance) -> Int {
    guard instance.keys.count > 1, let mark = remembered[instance.id.text] else { return 0 }
    return instance.keys.firstIndex { Self.mark(of: $0, instance) == mark } ?? 0
  }

  /// An instance has gone on to another key: writes that down, off the loop.
  func changed(_ states: InstanceStates) {
    let isFirst = pending.withLock { pending in
      defer { pending = states }
      return pending == nil
    }
    guard isFirst else { return }
    queue.asyncAfter(deadline: .now() + .milliseconds(Self.delayMilliseconds)) { [self] in
      if let states = pending.withLock({ $0.take() }) { write(states) }
    }
  }

  private func write(_ states: InstanceStates) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    guard let data = try? encoder.encode(states.keysInUse(Self.mark)) else { return }
    do throws(Errno) {
      try FileReplacement(path, newMode: 0o600).write(Array(data) + [0x0a])
    } catch {
      guard !hasFailed.exchange(true, ordering: .relaxed) else { return }
      report("\(path): cannot be written: \(error); after a restart, the first writes may meet a key that is refused")
    }
  }

  private static func mark(of key: Secret, _ instance: Instance) -> String {
    String(SHA256.digest(of: (Array("\(instance.id.text) ".utf8) + key.reveal()).span).hex.prefix(8))
  }
}
