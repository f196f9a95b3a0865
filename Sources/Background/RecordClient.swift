package import Dispatch
import Synchronization

/// An instance whose records can be read, and how to connect to it. Instances that differ in any of it are different ones:
/// two with one certificate can have one URL.
package struct RecordEndpoint: Hashable, Sendable {
  /// With the path prefix, without a slash at the end.
  let url: String
  /// The value of `Host`.
  let host: String
  /// Never log it.
  let key: [UInt8]
  /// PEM texts. A nil `caBundle` is the system's trust; a nil `certificate` or `privateKey` means no client certificate.
  package var caBundle: [UInt8]?
  package var certificate: [UInt8]?
  package var privateKey: [UInt8]?
  /// The connection's address in the form of CURLOPT_CONNECT_TO, if the certificate's name is not the host.
  package var connectTo: String?

  static let timeoutMilliseconds = 2_000
  /// The longest record.
  static let bytesMax = 256 << 10

  package init(url: String, host: String, key: [UInt8]) {
    self.url = url
    self.host = host
    self.key = key
  }
}

/// What came of one question.
package enum RecordReply: Sendable {
  case answered(status: Int, body: [UInt8])
  /// The instance has answered, but not with a record.
  case unreadable(String)
  /// libcurl's message, or another that names no secret.
  case failed(String)
  /// The instance was not asked, which says nothing about it.
  case notAsked(String)
}

/// Reads records of instances off the loops, with blocking libcurl calls on background threads.
///
/// Bound: `threadsMax` questions at once, `perInstanceMax` of them to one instance, so that one that hangs holds up no
/// other; `waitingMax` more wait. A question that is waiting or under way is not asked twice, unless it must be fresh. An
/// instance that has not answered is not asked for the next `pauseMilliseconds`.
package final class RecordClient: Sendable {
  package typealias Completion = @Sendable (RecordReply) -> Void

  private static let threadsMax = 8
  private static let perInstanceMax = 2
  private static let waitingMax = 64
  private static let completionsMax = 256
  private static let pauseMilliseconds = 1_000

  private struct Question: Sendable {
    let endpoint: RecordEndpoint
    let path: String
    let deadline: DispatchTime
    var completions: [Completion]

    func isAbout(_ other: Question) -> Bool { path == other.path && endpoint == other.endpoint }
  }

  private struct Work {
    var threads = 0
    var waiting: [Question] = []
    /// By the number of the thread's turn.
    var underWay: [Int: Question] = [:]
    private var turns = 0
    /// Until when an instance is not asked.
    private var pauses: [RecordEndpoint: DispatchTime] = [:]

    /// The first question to an instance that may be asked more.
    mutating func next() -> (turn: Int, question: Question)? {
      let index = waiting.firstIndex { question in
        underWay.values.count { $0.endpoint == question.endpoint } < RecordClient.perInstanceMax
      }
      guard let question = index.map({ waiting.remove(at: $0) }) else { return nil }
      turns += 1
      underWay[turns] = question
      return (turns, question)
    }

    mutating func ended(_ turn: Int, _ reply: RecordReply) -> [Completion] {
      guard let question = underWay.removeValue(forKey: turn) else { return [] }
      pauses = pauses.filter { $0.value > .now() }
      switch reply {
      case .answered, .unreadable: pauses[question.endpoint] = nil
      case .failed: pauses[question.endpoint] = .now() + .milliseconds(RecordClient.pauseMilliseconds)
      case .notAsked: break
      }
      return question.completions
    }

    /// Adds a question to another one about the same record; nil: there is none.
    mutating func join(_ question: Question, isFresh: Bool) -> Start? {
      if let index = waiting.firstIndex(where: { $0.isAbout(question) }) {
        return Self.join(question, &waiting[index])
      }
      guard !isFresh, let index = underWay.values.firstIndex(where: { $0.isAbout(question) }) else { return nil }
      return Self.join(question, &underWay.values[index])
    }

    private static func join(_ question: Question, _ other: inout Question) -> Start {
      guard other.completions.count < RecordClient.completionsMax else { return .full }
      other.completions += question.completions
      return .none
    }

    func isPausing(_ endpoint: RecordEndpoint) -> Bool { pauses[endpoint].map { $0 > .now() } ?? false }
  }

  private enum Start { case none, thread, pausing, full }

  private let transfers: BackgroundTransfers
  private let work = Mutex(Work())

  package init(_ transfers: BackgroundTransfers) { self.transfers = transfers }

  /// Reads a record.
  ///
  /// - Parameters:
  ///   - path: of the record, escaped, with its leading slash.
  ///   - isFresh: whether the answer must not be older than this call: a record that was missing before proves nothing.
  ///   - deadline: of the answer. Another question about the record may end earlier, and this one with it.
  ///   - completion: called once, on a background thread or on this one.
  package func read(
    _ path: String, of endpoint: RecordEndpoint, isFresh: Bool = false, until deadline: DispatchTime,
    completion: @escaping Completion
  ) {
    let question = Question(endpoint: endpoint, path: path, deadline: deadline, completions: [completion])
    switch work.withLock({ start(question, isFresh: isFresh, &$0) }) {
    case .none: break
    // A new serial queue gets a thread however many others block.
    case .thread: DispatchQueue(label: "records").async { self.answerQuestions() }
    case .pausing: completion(.pausing)
    case .full: completion(.notAsked("too many questions are waiting"))
    }
  }

  private func start(_ question: Question, isFresh: Bool, _ work: inout Work) -> Start {
    if let joined = work.join(question, isFresh: isFresh) { return joined }
    if work.isPausing(question.endpoint) { return .pausing }
    guard work.waiting.count < Self.waitingMax else { return .full }
    work.waiting.append(question)
    guard work.threads < Self.threadsMax else { return .none }
    work.threads += 1
    return .thread
  }

  private func answerQuestions() {
    while let (turn, question) = next() {
      let reply = reply(to: question)
      for completion in work.withLock({ $0.ended(turn, reply) }) { completion(reply) }
    }
  }

  private func reply(to question: Question) -> RecordReply {
    let now = DispatchTime.now()
    guard question.deadline > now + .milliseconds(Self.millisecondsMin) else {
      return .notAsked("the question waited too long behind others")
    }
    // Another question has failed while this one waited.
    if work.withLock({ $0.isPausing(question.endpoint) }) { return .pausing }
    let left = Int((question.deadline.uptimeNanoseconds - now.uptimeNanoseconds) / 1_000_000)
    let milliseconds = min(left, RecordEndpoint.timeoutMilliseconds)
    return RecordTransfer(question.endpoint, question.path, milliseconds, transfers)?.get() ?? .failed("out of memory")
  }

  /// Less is not enough for an answer.
  private static let millisecondsMin = 20

  /// The next question; nil if there is none that may be asked, and the calling thread ends.
  private func next() -> (turn: Int, question: Question)? {
    work.withLock { work in
      let next = work.next()
      if next == nil { work.threads -= 1 }
      return next
    }
  }
}

extension RecordReply {
  fileprivate static var pausing: RecordReply { .notAsked("the instance did not answer a moment ago") }
}
