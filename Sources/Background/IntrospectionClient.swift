import Dispatch
import Synchronization

/// An introspection endpoint (RFC 7662), and how to ask it.
package struct IntrospectionEndpoint: Sendable {
  package let url: String
  /// For HTTP Basic: already form-encoded (RFC 6749 §2.3.1).
  let user: String
  let password: String
  /// PEM text; nil: the system's trust.
  package var caBundle: [UInt8]?
  package var timeoutMilliseconds = 3_000
  /// The longest answer.
  package var bytesMax = 64 << 10

  package init(url: String, clientID: [UInt8], clientSecret: [UInt8]) {
    self.url = url
    user = formEncoded(clientID)
    password = formEncoded(clientSecret)
  }
}

/// What came of one question.
package enum IntrospectionReply: Sendable {
  case answered(status: Int, body: [UInt8])
  /// libcurl's message, or another that names no secret.
  case failed(String)
  /// The endpoint was not asked, which says nothing about it.
  case notAsked(String)
}

/// Asks one introspection endpoint off the loops, with blocking libcurl calls on background threads.
///
/// Bound: `threadsMax` questions at once, and a `QuestionQueue` behind them. Each provider has its own client, so one that
/// hangs holds up no other. Threads keep their connections, and end after `idleSeconds` without a question.
package final class IntrospectionClient: Sendable {
  package static let threadsMax = 16
  private static let idleSeconds = 20
  /// No request waits longer for an answer.
  private static let waitingMilliseconds = 5_000

  private struct Question: Sendable {
    let form: String
    let askedAt: DispatchTime
    let completion: @Sendable (IntrospectionReply) -> Void
  }

  private struct Work {
    var threads = 0
    /// Threads that wait for `arrived` and were not signalled yet.
    var idle = 0
    var queue = QuestionQueue<Question>(underWayMax: IntrospectionClient.threadsMax)
  }

  private let endpoint: IntrospectionEndpoint
  private let transfers: BackgroundTransfers
  private let work = Mutex(Work())
  private let arrived = DispatchSemaphore(value: 0)
  private let timeoutMilliseconds: Atomic<Int>

  package init(_ endpoint: IntrospectionEndpoint, _ transfers: BackgroundTransfers) {
    self.endpoint = endpoint
    self.transfers = transfers
    timeoutMilliseconds = Atomic(endpoint.timeoutMilliseconds)
  }

  /// Changes the time limit, from the next question on.
  package func setTimeout(milliseconds: Int) { timeoutMilliseconds.store(milliseconds, ordering: .relaxed) }

  /// Asks about a token; false: too many questions are waiting, and `completion` is not called.
  ///
  /// - Parameters:
  ///   - source: on whose behalf.
  ///   - isKnown: whether the token was admitted before.
  ///   - completion: called once, on a background thread or on the one of a later `ask`.
  package func ask(
    _ token: [UInt8], from source: QuestionSource, isKnown: Bool,
    completion: @escaping @Sendable (IntrospectionReply) -> Void
  ) -> Bool {
    let question = Question(form: Self.form(token), askedAt: .now(), completion: completion)
    enum WakeUp { case none, thread, newThread }
    let (insertion, wakeUp) = work.withLock { work -> (QuestionQueue<Question>.Insertion, WakeUp) in
      let insertion = work.queue.insert(question, from: source, isKnown: isKnown)
      // Otherwise a thread takes it when it has finished another question.
      guard work.queue.hasNext else { return (insertion, .none) }
      if work.idle > 0 {
        work.idle -= 1
        return (insertion, .thread)
      }
      guard work.threads < Self.threadsMax else { return (insertion, .none) }
      work.threads += 1
      return (insertion, .newThread)
    }
    switch wakeUp {
    case .none: break
    case .thread: arrived.signal()
    // A new serial queue gets a thread however many others block.
    case .newThread: DispatchQueue(label: "introspection").async { self.answerQuestions() }
    }
    switch insertion {
    case .waiting: return true
    case .replacing(let other):
      other.completion(.notAsked(Self.fullMessage))
      return true
    case .full: return false
    }
  }

  package static let fullMessage = "too many questions are waiting"

  /// Asks on the calling thread.
  package static func askNow(_ endpoint: IntrospectionEndpoint, _ token: [UInt8]) -> IntrospectionReply {
    IntrospectionTransfer(endpoint, BackgroundTransfers())?.post(form(token), endpoint.timeoutMilliseconds)
      ?? .failed("out of memory")
  }

  private func answerQuestions() {
    // Without memory for libcurl the questions fail, and the next thread tries again.
    let transfer = IntrospectionTransfer(endpoint, transfers)
    while let turn = next() {
      let isLate = DispatchTime.now() > turn.question.askedAt + .milliseconds(Self.waitingMilliseconds)
      turn.question.completion(
        isLate
          ? .notAsked("the question waited too long behind others")
          : transfer?.post(turn.question.form, timeoutMilliseconds.load(ordering: .relaxed)) ?? .failed("out of memory")
      )
      work.withLock { $0.queue.finished(isKnown: turn.isKnown) }
    }
  }

  /// The next question; nil: there is none for a while, and the calling thread ends.
  private func next() -> QuestionQueue<Question>.Turn? {
    while true {
      let taken = work.withLock { work in
        let turn = work.queue.next()
        if turn == nil { work.idle += 1 }
        return turn
      }
      if let taken { return taken }
      while arrived.wait(timeout: .now() + .seconds(Self.idleSeconds)) == .timedOut {
        let (ends, turn) = work.withLock { work -> (Bool, QuestionQueue<Question>.Turn?) in
          // All idle threads were signalled, this one, too: its signal arrives at once.
          guard work.idle > 0 else { return (false, nil) }
          work.idle -= 1
          let turn = work.queue.next()
          if turn == nil { work.threads -= 1 }
          return (turn == nil, turn)
        }
        if let turn { return turn }
        if ends { return nil }
      }
    }
  }

  private static func form(_ token: [UInt8]) -> String {
    "token=\(formEncoded(token))&token_type_hint=access_token"
  }
}

/// `application/x-www-form-urlencoded`: everything but letters, digits and `-._` is escaped.
func formEncoded(_ bytes: [UInt8]) -> String {
  var text: [UInt8] = []
  for byte in bytes {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
      text.append(byte)
    default:
      let digits = Array("0123456789ABCDEF".utf8)
      text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
  }
  return String(decoding: text, as: UTF8.self)
}
