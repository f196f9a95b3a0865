import Dispatch
import Synchronization

/// Proof that a loop makes turns: another thread asks, and the loop answers in its next turn.
///
/// Only one thread may ask. A question that is not answered stays open, so that at most one waits in the mailbox.
final class TurnProof: Sendable {
  private let isAsked = Atomic<Bool>(false)
  private let hasEnded = Atomic<Bool>(false)
  private let answers = DispatchSemaphore(value: 0)

  /// Asks through `post`, unless the last question is still open or the loop has ended.
  func ask(_ post: () -> Void) {
    guard !hasEnded.load(ordering: .acquiring), !isAsked.exchange(true, ordering: .relaxed) else { return }
    post()
  }

  /// On the loop.
  func answer() { answers.signal() }

  /// The loop has completed its work: there are no more turns to prove.
  func end() {
    hasEnded.store(true, ordering: .releasing)
    answers.signal()
  }

  /// Waits for the answer to the open question; false if there is none until `deadline`.
  func isAnswered(by deadline: DispatchTime) -> Bool {
    if hasEnded.load(ordering: .acquiring) { return true }
    guard answers.wait(timeout: deadline) == .success else { return false }
    isAsked.store(false, ordering: .relaxed)
    return true
  }
}
