import Foundation

/// Polls `condition` until it holds; false when `TestSocket.patience` runs out.
///
/// - Parameter seconds: between two polls.
package func eventually(every seconds: Double = 0.002, _ condition: () throws -> Bool) rethrows -> Bool {
  let end = Date() + Double(TestSocket.patience)
  while try !condition() {
    guard Date() < end else { return false }
    Thread.sleep(forTimeInterval: seconds)
  }
  return true
}

extension TestMessage {
  /// The exchanges queued for a connection to `instance`, according to this response to `GET /metrics`.
  package func queued(for instance: String) -> Int {
    Int(samples["blnk_gateway_upstream_queue{instance_id=\"\(instance)\"}"] ?? 0)
  }
}
