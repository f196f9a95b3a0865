/// What waits for a thread that can ask the endpoint, and who is next.
///
/// There is a lane for tokens that were admitted before, and one for all others. Unknown peers can only fill the second, so
/// clients' tokens have a lane and `reservedMax` questions under way, whatever others present. Within a lane,
/// sources take turns; once it is full, a source with few questions takes a place from the one with the most.
///
/// Bound: `waitingMax` questions in each lane.
struct QuestionQueue<Question> {
  /// How many of the questions under way only one of the lanes can have.
  static var reservedMax: Int { 4 }
  static var waitingMax: Int { 256 }

  /// A place in the queue. It is given back with `finished` once the question has been answered.
  struct Turn {
    let question: Question
    let isKnown: Bool
  }

  enum Insertion {
    case waiting
    /// In place of another question, which is not asked.
    case replacing(Question)
    /// The lane is full, and no source has more questions in it than this one.
    case full
  }

  private var known = Lane()
  private var unknown = Lane()
  /// Questions under way, at most.
  private let underWayMax: Int

  init(underWayMax: Int) {
    self.underWayMax = underWayMax
  }

  /// - Parameters:
  ///   - source: on whose behalf the question is asked: sources have equal shares.
  ///   - isKnown: whether the token was admitted before.
  mutating func insert(_ question: Question, from source: QuestionSource, isKnown: Bool) -> Insertion {
    isKnown ? known.insert(question, source) : unknown.insert(question, source)
  }

  /// Takes the next question; nil: none may be asked now.
  mutating func next() -> Turn? {
    guard let isKnown = laneOfNext else { return nil }
    return isKnown
      ? known.take().map { Turn(question: $0, isKnown: true) }
      : unknown.take().map { Turn(question: $0, isKnown: false) }
  }

  /// Whether `next` has a question.
  var hasNext: Bool { laneOfNext != nil }

  mutating func finished(isKnown: Bool) {
    if isKnown { known.underWay -= 1 } else { unknown.underWay -= 1 }
  }

  /// Whether the next question is in the lane of known tokens; nil: there is none. Known tokens come first, except for the
  /// share that is reserved for others.
  private var laneOfNext: Bool? {
    let laneMax = underWayMax - Self.reservedMax
    let unknownMayStart = !unknown.isEmpty && unknown.underWay < laneMax
    if !known.isEmpty, known.underWay < laneMax || !unknownMayStart { return true }
    return unknownMayStart ? false : nil
  }

  /// The waiting questions of one lane, by source.
  private struct Lane {
    private var waiting: [QuestionSource: [Question]] = [:]
    /// The sources in `waiting`; the first is next.
    private var turns: [QuestionSource] = []
    private var count = 0
    var underWay = 0

    var isEmpty: Bool { count == 0 }

    mutating func insert(_ question: Question, _ source: QuestionSource) -> Insertion {
      guard count == QuestionQueue.waitingMax else {
        append(question, source)
        return .waiting
      }
      let most = turns.max { waiting[$0, default: []].count < waiting[$1, default: []].count }
      guard let most, waiting[most, default: []].count > waiting[source, default: []].count + 1,
        let replaced = waiting[most]?.popLast()
      else { return .full }
      count -= 1
      append(question, source)
      return .replacing(replaced)
    }

    private mutating func append(_ question: Question, _ source: QuestionSource) {
      if waiting[source] == nil { turns.append(source) }
      waiting[source, default: []].append(question)
      count += 1
    }

    mutating func take() -> Question? {
      guard let source = turns.first, let question = waiting[source]?.removeFirst() else { return nil }
      turns.removeFirst()
      if waiting[source]?.isEmpty ?? true { waiting[source] = nil } else { turns.append(source) }
      count -= 1
      underWay += 1
      return question
    }
  }
}

/// On whose behalf a question is asked: a number that represents an address.
package struct QuestionSource: Hashable, Sendable {
  private let high: UInt64
  private let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }
}
