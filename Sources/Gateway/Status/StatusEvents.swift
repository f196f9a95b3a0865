import Synchronization
import System

/// The events of the status page: once a second, the JSON of `/status` with few rows.
///
/// All viewers get the same event, which is made once. Without viewers nothing is made. Confined to the thread of the
/// admin endpoint.
final class StatusEvents {
  private let state: GatewayState
  private var event: [UInt8] = []
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
      event = Self.event(StatusReport(state, rowsMax: StatusPage.rowsMax).oneLine)
    }
    return event
  }

  /// HTML Standard §9.2.6: a line feed would begin another field.
  ///
  /// - Parameter json: one line of JSON.
  static func event(_ json: [UInt8]) -> [UInt8] {
    Array("data: ".utf8) + json.filter { $0 != UInt8(ascii: "\n") } + Array("\n\n".utf8)
  }
}
