import Testing

@testable import Background

/// Who is asked about next, and who is refused.
@Suite struct QuestionQueueTests {
  private typealias Queue = QuestionQueue<String>

  private static func source(_ number: Int) -> QuestionSource { QuestionSource(high: 0, low: UInt64(number)) }

  /// Takes all that may be under way together.
  private static func taken(_ queue: inout Queue) -> [String] {
    var texts: [String] = []
    while let turn = queue.next() { texts.append(turn.question) }
    return texts
  }

  private static func next(_ queue: inout Queue) -> String? { queue.next()?.question }

  private static func insert(_ queue: inout Queue, _ text: String, _ number: Int, isKnown: Bool = false) -> Bool {
    isWaiting(queue.insert(text, from: source(number), isKnown: isKnown))
  }

  private static func isWaiting(_ insertion: Queue.Insertion) -> Bool {
    if case .waiting = insertion { true } else { false }
  }

  @Test func `sources take turns, each in its own order`() {
    var queue = Queue(underWayMax: 100)
    for (text, source) in [("a1", 1), ("a2", 1), ("a3", 1), ("b1", 2), ("c1", 3), ("c2", 3)] {
      #expect(Self.insert(&queue, text, source))
    }
    #expect(Self.taken(&queue) == ["a1", "b1", "c1", "a2", "c2", "a3"])
    #expect(!queue.hasNext)
  }

  @Test func `unknown tokens never have more than 12 of 16 questions under way, and known tokens come first`() {
    var queue = Queue(underWayMax: 16)
    for number in 0..<100 { _ = queue.insert("x\(number)", from: Self.source(number), isKnown: false) }
    #expect(Self.taken(&queue).count == 12)
    for number in 0..<6 { _ = queue.insert("k\(number)", from: Self.source(0), isKnown: true) }
    // The threads bound the sum; the queue, the shares.
    #expect(Self.next(&queue) == "k0")
    #expect(queue.hasNext)
    queue.finished(isKnown: false)
    #expect(Self.next(&queue) == "k1")
  }

  @Test func `known tokens leave others a share, if there are any`() {
    var queue = Queue(underWayMax: 16)
    for number in 0..<100 { _ = queue.insert("k", from: Self.source(number % 5), isKnown: true) }
    for _ in 0..<12 { #expect(Self.next(&queue) == "k") }
    #expect(Self.next(&queue) == "k")
    _ = queue.insert("x", from: Self.source(9), isKnown: false)
    #expect(Self.next(&queue) == "x")
    #expect(Self.next(&queue) == "k")
  }

  @Test func `in a full lane, a source with few questions takes a place from the one with the most`() throws {
    var queue = Queue(underWayMax: 16)
    for number in 0..<Queue.waitingMax - 6 {
      #expect(Self.insert(&queue, "a\(number)", 1))
    }
    for number in 0..<6 { #expect(Self.insert(&queue, "b\(number)", 2)) }
    guard case .full = queue.insert("a", from: Self.source(1), isKnown: false) else {
      Issue.record("the source with the most questions gets another place")
      return
    }
    guard case .replacing(let replaced) = queue.insert("c0", from: Self.source(3), isKnown: false) else {
      Issue.record("no place")
      return
    }
    // The one that would have waited longest.
    #expect(replaced == "a\(Queue.waitingMax - 7)")
    #expect(Self.insert(&queue, "k", 1, isKnown: true))
    #expect(Self.taken(&queue).prefix(4) == ["k", "a0", "b0", "c0"])
  }

  @Test func `256 sources with a question each fill the lane, and the next one is refused`() {
    var queue = Queue(underWayMax: 16)
    for number in 0..<Queue.waitingMax {
      #expect(Self.insert(&queue, "", number))
    }
    guard case .full = queue.insert("", from: Self.source(-1 & 0xffff), isKnown: false) else {
      Issue.record("more than the maximum")
      return
    }
  }
}
