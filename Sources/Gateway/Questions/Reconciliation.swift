import Background
import Bytes
import Digests
import Dispatch
import HTTP1
import Policies

/// A keyed write of unknown outcome, and how Core is asked for its result.
struct Reconciliation: Sendable {
  enum Result: Sendable {
    /// Core has executed it: the status of its response, and its present record.
    case done(status: Int, body: [UInt8])
    /// Core has a record under the same name that is not known to be its result.
    case differs
    /// For the operator.
    case unclear(reason: String)
  }

  private let question: OutcomeQuestion
  /// nil for a deletion.
  private let request: JSONRecord?

  /// All questions about one write; exchanges wait a while longer.
  private static let milliseconds = 3_000

  /// nil: Core cannot be asked for the result of this request.
  ///
  /// - Parameters:
  ///   - path: as Core gets it.
  ///   - body: the whole body.
  init?(_ method: Method, path: Span<UInt8>, body: [UInt8], since: UnixSeconds) {
    let path = String(decoding: path.indices.map { path[$0] }, as: UTF8.self)
    let members = JSONMembers(body.span)
    let subject: OutcomeQuestion.Subject
    let name: String?
    switch (method, path) {
    case (.post, "/transactions") where !members.hasParts:
      (subject, name) = (.transaction, Self.text(members[.reference]))
    case (.post, "/identities"): (subject, name) = (.identity, Self.text(members[.identityID]))
    case (.delete, _) where path.hasPrefix("/identities/"):
      (subject, name) = (.deletion, String(path.dropFirst("/identities/".count)))
    default: return nil
    }
    guard let name, let question = OutcomeQuestion(subject, name, since: since) else { return nil }
    let request = subject == .deletion ? nil : JSONRecord(body)
    // Core might see another name in a body that is not read in the same way by everyone.
    guard subject == .deletion || request?.has(subject == .transaction ? "reference" : "identity_id", name) == true
    else { return nil }
    self.question = question
    self.request = request
  }

  private static func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

  /// Asks Core.
  ///
  /// - Parameter completion: called once, on a background thread or on this one.
  func ask(_ records: RecordClient, _ endpoint: RecordEndpoint, completion: @escaping @Sendable (Result) -> Void) {
    let deadline = DispatchTime.now() + .milliseconds(Self.milliseconds)
    records.read(question.path, of: endpoint, isFresh: question.isProvedByAbsence, until: deadline) { reply in
      switch RecordFinding(reply) {
      case .unclear(let reason): completion(.unclear(reason: reason))
      case .missing(let code): completion(missing(code))
      case .found(let record):
        guard let request, case .answered(_, let body) = reply else {
          return completion(.unclear(reason: "Core still has what was to be deleted"))
        }
        guard question.mayHaveCreated(record) else { return completion(.differs) }
        let match = RecordMatch(subject: question.subject, request: request, record: record)
        Lookup(records: records, endpoint: endpoint, deadline: deadline).resolve(indicators, match) { result in
          switch result {
          case .success(let match): completion(match.isMatch ? .done(status: 201, body: body) : .differs)
          case .failure(let fault): completion(.unclear(reason: fault.reason))
          }
        }
      }
    }
  }

  private func missing(_ code: String) -> Result {
    switch (question.subject, code) {
    // What Core answers to a deletion.
    case (.deletion, "IDT_NOT_FOUND"):
      .done(status: 200, body: Array(#"{"message":"Identity deleted successfully"}"#.utf8))
    default: .unclear(reason: "Core does not have it, and may still execute it")
    }
  }

  /// The indicators of the request, for whose balances Core stores ids, and the currency.
  private var indicators: ArraySlice<(indicator: String, currency: String)> {
    guard question.subject == .transaction, let request, let currency = request.text("currency") else { return [] }
    return RecordMatch.balanceNames.compactMap(request.text).filter { $0.hasPrefix("@") }.map { ($0, currency) }[...]
  }

  private struct Fault: Error {
    let reason: String
  }

  /// Finds balances by their indicators, one after the other.
  private struct Lookup: Sendable {
    let records: RecordClient
    let endpoint: RecordEndpoint
    let deadline: DispatchTime

    func resolve(
      _ indicators: ArraySlice<(indicator: String, currency: String)>, _ match: RecordMatch,
      completion: @escaping @Sendable (Swift.Result<RecordMatch, Fault>) -> Void
    ) {
      guard let (indicator, currency) = indicators.first else { return completion(.success(match)) }
      guard OutcomeQuestion.canAsk(indicator, of: .transaction), OutcomeQuestion.canAsk(currency, of: .transaction)
      else {
        return completion(.success(match))
      }
      let path =
        "/balances/indicator/\(OutcomeQuestion.escaped(indicator))/currency/\(OutcomeQuestion.escaped(currency))"
      let rest = indicators.dropFirst()
      records.read(path, of: endpoint, until: deadline) { reply in
        switch RecordFinding(reply) {
        case .unclear(let reason): return completion(.failure(Fault(reason: reason)))
        case .missing: return completion(.failure(Fault(reason: "Core does not find the balance of an indicator")))
        case .found(let balance):
          var match = match
          if balance.has("indicator", indicator), let id = balance.text("balance_id") {
            match.balances.append(JSONRecord.Member(name: ByteText(indicator), value: .string(ByteText(id))))
          }
          resolve(rest, match, completion: completion)
        }
      }
    }
  }
}
