import FoundationEssentials
import Synchronization
import System

/// The events of the status page: once a second, what it shows.
///
/// All viewers get the same event, which is made once. Without viewers nothing is made. Confined to the thread of the
/// admin endpoint.
final class StatusEvents {
  private let state: GatewayState
  private var event: [UInt8] = []
  private var window: StatusWindow?
  /// The second for which `event` was made.
  private var second: Int64 = -1

  init(_ state: GatewayState) { self.state = state }

  /// The parts of a viewer's response. It ends when the gateway drains; a browser then connects again, to a successor
  /// if there is one.
  func parts() -> AdminParts {
    var isFirst = true
    return { [self] in
      guard !isFirst else {
        isFirst = false
        return Array("retry: 1000\n".utf8) + currentEvent()
      }
      return state.isDraining.load(ordering: .relaxed) ? nil : currentEvent()
    }
  }

  private func currentEvent() -> [UInt8] {
    let now = SystemClock.milliseconds / 1_000
    if now != second {
      second = now
      makeEvent()
    }
    return event
  }

  private func makeEvent() {
    let reading = StatusReport(state, rowsMax: StatusPage.rowsMax).reading
    if window == nil { window = StatusWindow(reading) } else { window?.add(reading) }
    guard let view = window?.view, let json = try? JSONEncoder().encode(view) else { return }
    // HTML Standard §9.2.6: JSON has no line feed, which would begin another field.
    event = Array("data: ".utf8) + json + Array("\n\n".utf8)
  }
}
