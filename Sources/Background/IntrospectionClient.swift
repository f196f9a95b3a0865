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
}

/// Asks one introspection endpoint off the loops, with blocking libcurl calls on background threads.
///
/// Bound: `threadsMax` questions at once and `waitingMax` behind them. Each provider has its own client, so one that hangs
/// holds up no other. Threads keep their connections, and end after `idleSeconds` without a question.
package final class IntrospectionClient: Sendable {
  package static let threadsMax = 16
  package static let waitingMax = 256
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
    var idle = 0
    var waiting: [Question] = []
  }

  private let endpoint: IntrospectionEndpoint
  private let transfers: BackgroundTransfers
  private let work = Mutex(Work())
  private let arrived = DispatchSemaphore(value: 0)

  package init(_ endpoint: IntrospectionEndpoint, _ transfers: BackgroundTransfers) {
    self.endpoint = endpoint
    self.transfers = transfers
  }

  /// Asks about a token; false: too many questions are waiting, and `completion` is not called.
  ///
  /// - Parameter completion: called once, on a background thread.
  package func ask(_ token: [UInt8], completion: @escaping @Sendable (IntrospectionReply) -> Void) -> Bool {
    let question = Question(form: Self.form(token), askedAt: .now(), completion: completion)
    enum Decision { case full, taken, needsThread }
    let decision: Decision = work.withLock { work in
      guard work.waiting.count < Self.waitingMax else { return .full }
      work.waiting.append(question)
      guard work.waiting.count > work.idle, work.threads < Self.threadsMax else { return .taken }
      work.threads += 1
      return .needsThread
    }
    switch decision {
    case .full: return false
    case .taken: arrived.signal()
    case .needsThread:
      arrived.signal()
      // A new serial queue gets a thread however many others block.
      DispatchQueue(label: "introspection").async { self.answerQuestions() }
    }
    return true
  }

  /// Asks on the calling thread.
  package static func askNow(_ endpoint: IntrospectionEndpoint, _ token: [UInt8]) -> IntrospectionReply {
    IntrospectionTransfer(endpoint, BackgroundTransfers())?.post(form(token)) ?? .failed("out of memory")
  }

  private func answerQuestions() {
    // Without memory for libcurl the questions fail, and the next thread tries again.
    let transfer = IntrospectionTransfer(endpoint, transfers)
    while let question = next() {
      let isLate = DispatchTime.now() > question.askedAt + .milliseconds(Self.waitingMilliseconds)
      question.completion(
        isLate
          ? .failed("the question waited too long behind others")
          : transfer?.post(question.form) ?? .failed("out of memory"))
    }
  }

  /// The next question; nil: there is none for a while, and the calling thread ends.
  private func next() -> Question? {
    work.withLock { $0.idle += 1 }
    while true {
      let result = arrived.wait(timeout: .now() + .seconds(Self.idleSeconds))
      let (question, ends) = work.withLock { work -> (Question?, Bool) in
        guard !work.waiting.isEmpty else {
          // A signal without a question: another thread has taken it after its own timeout.
          if result == .timedOut {
            work.threads -= 1
            work.idle -= 1
          }
          return (nil, result == .timedOut)
        }
        work.idle -= 1
        return (work.waiting.removeFirst(), false)
      }
      if let question { return question }
      if ends { return nil }
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
