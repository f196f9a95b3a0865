import TestSupport

/// The far end of a simulated connection: sends in pieces, and reads at its own pace.
class SimulatedPeer {
  let kernel: SimulatedKernel
  let end: SimulatedEnd
  /// Parses the received bytes.
  var reader = TestMessageParser()
  private(set) var isEnded = false
  private(set) var hasLeft = false
  private var outgoing: [UInt8] = []
  private var whenSent: (() -> Void)?
  private var isSending = false
  /// The largest piece that is sent, and whether reading is slow.
  private let pieceMax: Int
  private let isSlow: Bool
  /// When the next bytes are read (milliseconds).
  private var takesAt: Int64 = 0

  init(_ kernel: SimulatedKernel, _ end: SimulatedEnd) {
    self.kernel = kernel
    self.end = end
    pieceMax = [1, 7, 100, 20_000].randomElement(using: &kernel.random)!
    isSlow = Int.random(in: 0..<4, using: &kernel.random) == 0
    end.onSent = { [unowned self] bytes in
      gatewaySent(bytes)
      take(bytes)
    }
    end.onEnd = { [unowned self] in
      gatewayEnded()
      inOrder { $0.noteEnd() }
    }
  }

  /// Called after bytes were read; for subclasses.
  func hasReceived() {}
  func hasEnded() {}
  /// Called when the gateway sends or ends, which the peer may notice much later.
  func gatewaySent(_ bytes: [UInt8]) {}
  func gatewayEnded() {}

  private func take(_ bytes: [UInt8]) {
    inOrder { peer in
      guard !peer.hasLeft else { return }
      peer.reader.append(bytes)
      peer.kernel.calls.giveRoom(bytes.count, to: peer.end)
      peer.hasReceived()
    }
  }

  /// Acts after some time, in the order of the calls.
  private func inOrder(_ act: @escaping (SimulatedPeer) -> Void) {
    let now = kernel.milliseconds
    takesAt = max(takesAt, now + (isSlow ? kernel.someTime() : 0))
    kernel.after(takesAt - now) { [weak self] in
      if let self { act(self) }
    }
  }

  private func noteEnd() {
    guard !isEnded else { return }
    isEnded = true
    hasEnded()
  }

  // MARK: Sending

  /// - Parameter whenSent: called after the last byte was sent.
  func send(_ bytes: [UInt8], then whenSent: (() -> Void)? = nil) {
    outgoing += bytes
    self.whenSent = whenSent
    goOn()
  }

  private func goOn() {
    guard !isSending, !outgoing.isEmpty, !hasLeft else { return }
    isSending = true
    kernel.after(kernel.someTime()) { [weak self] in
      guard let self else { return }
      isSending = false
      guard !hasLeft else { return }
      let count = min(outgoing.count, Int.random(in: 1...max(pieceMax, outgoing.count / 20), using: &kernel.random))
      kernel.calls.deliver(Array(outgoing.prefix(count)), to: end)
      outgoing.removeFirst(count)
      guard outgoing.isEmpty else { return goOn() }
      let act = whenSent
      whenSent = nil
      act?()
    }
  }

  /// Closes the sending side; earlier bytes may still be in transit.
  func endOutput() { kernel.calls.deliverEnd(to: end) }

  /// Disconnects immediately.
  func leave() {
    hasLeft = true
    kernel.calls.reset(end)
  }
}
