import Bytes
import Reactor
import Upstream

/// Replaces libcurl for one upstream connection: it connects sooner, later or never.
final class SimulatedLink: Link {
  private let kernel: SimulatedKernel
  private let connected: (SimulatedEnd) -> Void
  private weak var owner: UpstreamConnection?
  private var end: SimulatedEnd?
  private let fate: Fate
  private var dueAt: Int64

  private enum Fate {
    case connects, refused, never
  }

  /// - Parameter connected: called when there is a connection.
  init(_ kernel: SimulatedKernel, connected: @escaping (SimulatedEnd) -> Void) {
    self.kernel = kernel
    self.connected = connected
    let lot = Int.random(in: 0..<20, using: &kernel.random)
    fate = lot == 0 ? .refused : lot == 1 ? .never : .connects
    dueAt = kernel.milliseconds + kernel.someTime()
  }

  deinit { if let end { kernel.calls.close(end.number) } }

  func begin(for owner: UpstreamConnection) { self.owner = owner }

  func drive(_ socket: Int32, _ ready: Int32) -> LinkOutcome? {
    let now = kernel.milliseconds
    guard fate != .never else { return nil }
    guard now >= dueAt else {
      owner?.setTimer(after: Int(dueAt - now))
      return nil
    }
    guard fate == .connects else { return .failed(.refused, "simulated") }
    let end = kernel.calls.open(room: [100, 2_000, 60_000].randomElement(using: &kernel.random)!)
    self.end = end
    connected(end)
    return .connected
  }

  func driveAll() -> LinkOutcome? { nil }

  var activeSocket: Int32? { end?.number }

  var readsAhead: Bool { true }

  var failure: String? { nil }

  func receive(into buffer: ByteBuffer) -> Transfer { preconditionFailure("no TLS is simulated") }

  func send(_ buffer: ByteBuffer, _ range: Range<Int>) -> Transfer { preconditionFailure("no TLS is simulated") }
}
