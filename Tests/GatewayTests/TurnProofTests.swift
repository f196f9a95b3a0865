import Dispatch
import Testing

@testable import Gateway

/// What the watchdog believes about one loop.
@Suite struct TurnProofTests {
  private let proof = TurnProof()

  /// Asks, and returns the number of questions that reach the loop.
  private func ask() -> Int {
    var posted = 0
    proof.ask { posted += 1 }
    return posted
  }

  private func isAnswered(within milliseconds: Int = 0) -> Bool {
    proof.isAnswered(by: .now() + .milliseconds(milliseconds))
  }

  @Test func `a loop that answers every question turns`() {
    for _ in 0..<3 {
      #expect(ask() == 1)
      proof.answer()
      #expect(isAnswered())
    }
  }

  @Test func `a loop that does not answer does not, and gets no second question`() {
    #expect(ask() == 1)
    for _ in 0..<3 {
      #expect(!isAnswered(within: 1))
      #expect(ask() == 0)
    }
  }

  @Test func `a late answer counts as soon as it comes`() {
    #expect(ask() == 1)
    #expect(!isAnswered(within: 1))
    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(20)) { [proof] in proof.answer() }
    #expect(ask() == 0)
    #expect(isAnswered(within: 30_000))
    #expect(ask() == 1)
    #expect(!isAnswered(within: 1))
  }

  @Test(arguments: [false, true])
  func `a loop that has completed its work has nothing to prove`(isAsked: Bool) {
    if isAsked { _ = ask() }
    proof.end()
    for _ in 0..<3 {
      #expect(ask() == 0)
      #expect(isAnswered())
    }
  }
}
