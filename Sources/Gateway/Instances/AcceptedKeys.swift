import Digests
import Dispatch
import FoundationEssentials
import Policies
import Synchronization
import System
import Upstream

/// Remembers across restarts which key is in use, for instances with several keys. Without it, Core would refuse the
/// first writes after a restart during a key rotation.
///
/// The file has 32 bits of each key's digest: enough to distinguish eight keys, too few to find a key.
final class AcceptedKeys: Sendable {
  static let fileName = "accepted-keys.json"
  private static let bytesMax = 16 << 20
  private static let delayMilliseconds = 200

  private let path: String
  /// The fingerprints by instance id, as read at the start.
  private let remembered: [String: String]
  private let report: @Sendable (String) -> Void
  private let queue = DispatchQueue(label: "accepted-keys")
  /// The states to write; nil: no write is scheduled.
  private let pending = Mutex<InstanceStates?>(nil)
  private let hasFailed = Atomic<Bool>(false)

  init(in folder: String, report: @escaping @Sendable (String) -> Void) {
    path = "\(folder)/\(Self.fileName)"
    self.report = report
    // Ignore a file that cannot be read: it only avoids refusals.
    let bytes = Self.bytes(of: path)
    remembered = bytes.flatMap { try? JSONDecoder().decode([String: String].self, from: Data($0)) } ?? [:]
  }

  private static func bytes(of path: String) -> [UInt8]? {
    guard let file = try? InputFile(path: path), let count = file.byteCount, count <= bytesMax else { return nil }
    return try? file.read(count)
  }

  /// The index of the key in use when the gateway last stopped; 0 if unknown.
  func index(of instance: Instance) -> Int {
    guard instance.keys.count > 1, let fingerprint = remembered[instance.id.text] else { return 0 }
    return instance.keys.firstIndex { Self.fingerprint(of: $0, instance) == fingerprint } ?? 0
  }

  /// Saves the keys in use after a switch, off the loop.
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
    guard let data = try? encoder.encode(states.keysInUse(Self.fingerprint)) else { return }
    do throws(Errno) {
      try FileReplacement(path, newMode: 0o600).write(Array(data) + [0x0a])
    } catch {
      guard !hasFailed.exchange(true, ordering: .relaxed) else { return }
      report(
        "cannot write \(path): \(error); after a restart, Core may refuse the first writes "
          + "until the gateway has switched to the accepted key")
    }
  }

  private static func fingerprint(of key: Secret, _ instance: Instance) -> String {
    String(SHA256.digest(of: (Array("\(instance.id.text) ".utf8) + key.reveal()).span).hex.prefix(8))
  }
}
