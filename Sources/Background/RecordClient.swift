package import Dispatch
import Synchronization

/// An instance whose records can be read, and how to connect to it.
package struct RecordEndpoint: Sendable {
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
/// other; `waitingMax` more wait. A question that is waiting or under way is not asked twice. An instance that has not
/// answered is not asked for the next `pauseMilliseconds`.
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

    var url: String { endpoint.url + path }
  }

  private struct Work {
    var threads = 0
    var waiting: [Question] = []
    /// Of the questions that wait or are under way, by the URL of the record.
    var completions: [String: [Completion]] = [:]
    /// By the URL of the instance: the questions under way.
    var underWay: [String: Int] = [:]
    /// By the URL of the instance: until when it is not asked.
    var pauses: [String: DispatchTime] = [:]

    /// The first question to an instance that may be asked more.
    mutating func next() -> Question? {
      let index = waiting.firstIndex { underWay[$0.endpoint.url, default: 0] < RecordClient.perInstanceMax }
      guard let question = index.map({ waiting.remove(at: $0) }) else { return nil }
      underWay[question.endpoint.url, default: 0] += 1
      return question
    }

    mutating func ended(_ question: Question, hasFailed: Bool) -> [Completion] {
      let url = question.endpoint.url
      underWay[url, default: 1] -= 1
      if underWay[url] == 0 { underWay[url] = nil }
      pauses[url] = hasFailed ? .now() + .milliseconds(RecordClient.pauseMilliseconds) : nil
      return completions.removeValue(forKey: question.url) ?? []
    }
  }

  private enum Start { case none, thread, pausing, full }

  private let transfers: BackgroundTransfers
  private let work = Mutex(Work())

  package init(_ transfers: BackgroundTransfers) { self.transfers = transfers }

  /// Reads a record.
  ///
  /// - Parameters:
  ///   - path: of the record, escaped, with its leading slash.
  ///   - deadline: of the answer. Another question about the record may end earlier, and this one with it.
  ///   - completion: called once, on a background thread or on this one.
  package func read(
    _ path: String, of endpoint: RecordEndpoint, until deadline: DispatchTime, completion: @escaping Completion
  ) {
    let question = Question(endpoint: endpoint, path: path, deadline: deadline)
    switch work.withLock({ start(question, completion, &$0) }) {
    case .none: break
    // A new serial queue gets a thread however many others block.
    case .thread: DispatchQueue(label: "records").async { self.answerQuestions() }
    case .pausing: completion(.notAsked("the instance did not answer a moment ago"))
    case .full: completion(.notAsked("too many questions are waiting"))
    }
  }

  private func start(_ question: Question, _ completion: @escaping Completion, _ work: inout Work) -> Start {
    if let joined = work.completions[question.url] {
      guard joined.count < Self.completionsMax else { return .full }
      work.completions[question.url]?.append(completion)
      return .none
    }
    if let pause = work.pauses[question.endpoint.url], pause > .now() { return .pausing }
    guard work.waiting.count < Self.waitingMax else { return .full }
    work.waiting.append(question)
    work.completions[question.url] = [completion]
    guard work.threads < Self.threadsMax else { return .none }
    work.threads += 1
    return .thread
  }

  private func answerQuestions() {
    while let question = next() {
      let reply = reply(to: question)
      let hasFailed = if case .failed = reply { true } else { false }
      for completion in work.withLock({ $0.ended(question, hasFailed: hasFailed) }) { completion(reply) }
    }
  }

  private func reply(to question: Question) -> RecordReply {
    let now = DispatchTime.now()
    guard question.deadline > now + .milliseconds(Self.millisecondsMin) else {
      return .notAsked("the question waited too long behind others")
    }
    let left = Int((question.deadline.uptimeNanoseconds - now.uptimeNanoseconds) / 1_000_000)
    let milliseconds = min(left, RecordEndpoint.timeoutMilliseconds)
    return RecordTransfer(question.endpoint, question.path, milliseconds, transfers)?.get() ?? .failed("out of memory")
  }

  /// Less is not enough for an answer.
  private static let millisecondsMin = 20

  /// The next question; nil if there is none that may be asked, and the calling thread ends.
  private func next() -> Question? {
    work.withLock { work in
      let question = work.next()
      if question == nil { work.threads -= 1 }
      return question
    }
  }
}
