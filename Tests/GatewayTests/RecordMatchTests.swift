import Bytes
import Policies
import Testing

@testable import Gateway

/// Whether a record of Core is the result of a request.
@Suite struct RecordMatchTests {
  private static let request =
    #"{"amount":12.5,"precision":100,"reference":"r","currency":"USD","source":"bln_1","destination":"@A","description":"u","allow_overdraft":true}"#
  /// As Core v0.15.2 shows a queued transaction by its reference.
  private static let record =
    #"{"precise_amount":1250,"amount":12.5,"precision":0,"overdraft_limit":0,"transaction_id":"txn_1","parent_transaction":"","source":"bln_1","destination":"bln_2","reference":"r","currency":"USD","description":"u","status":"QUEUED","hash":"","allow_overdraft":false,"inflight":false,"skip_queue":false,"atomic":false,"created_at":"2026-11-28T18:02:29Z","scheduled_for":"0001-01-01T00:00:00Z","meta_data":{"QUEUED_PARENT_TRANSACTION":"txn_1","allow_overdraft":true,"queue_lane":"normal","queue_pair_key":"x"}}"#

  private static func isMatch(_ subject: OutcomeQuestion.Subject, _ request: String, _ record: String) -> Bool {
    guard let request = JSONRecord(Array(request.utf8)), let record = JSONRecord(Array(record.utf8)) else {
      return false
    }
    return RecordMatch(
      subject: subject, request: request, record: record,
      balances: [JSONRecord.Member(name: "@A", value: .string("bln_2"))]
    ).isMatch
  }

  /// Changes of the request and of the record, and whether they still match.
  static let transactions: [(change: [String], of: [String], Bool)] = [
    ([], [], true),
    // Other spellings of the same request.
    ([#""amount":12.5"#, #""AMOUNT":1.25e1"#], [], true),
    ([#""amount":12.5,"precision":100"#, #""precise_amount":1250"#], [], true),
    ([#""amount":12.5"#, #""amount":12.5,"precise_amount":1250"#], [], true),
    ([#""description":"u""#, #""description":"u","inflight":false,"meta_data":null,"scheduled_for":null"#], [], true),
    (
      [#""description":"u""#, #""description":"u","meta_data":{"a":[1,{"b":2.0}]}"#],
      [#""meta_data":{"#, #""meta_data":{"a":[1.0,{"b":2}],"#], true
    ),
    ([#""description":"u""#, #""description":"u","inflight":true"#], [#""QUEUED","#, #""INFLIGHT","#], true),
    // What the request leaves out has its default.
    ([], [#""currency":"USD""#, #""currency":"USD","rate":1"#], true),
    ([], [#""currency":"USD""#, #""currency":"USD","rate":5"#], false),
    ([], [#""currency":"USD""#, #""currency":"USD","effective_date":"2026-11-28T18:02:29Z""#], true),
    ([], [#""currency":"USD""#, #""currency":"USD","effective_date":"1999-01-01T00:00:00Z""#], false),
    ([], [#""parent_transaction":"""#, #""parent_transaction":"txn_0""#], false),
    ([], [#""precision":0"#, #""precision":1"#], false), ([], [#""precision":0"#, #""precision":100"#], true),
    ([], [#""QUEUED","#, #""INFLIGHT","#], false), ([], [#""QUEUED","#, #""VOID","#], false),
    ([], [#""QUEUED","#, #""other","#], false), ([], [#""QUEUED","#, #""APPLIED","#], true),
    ([], [#""inflight":false"#, #""inflight":true"#], false),
    ([], [#""allow_overdraft":true,"queue_lane""#, #""allow_overdraft":false,"queue_lane""#], false),
    ([#""description":"u""#, #""description":"u","skip_queue":true"#], [], false),
    (
      [#""description":"u""#, #""description":"u","skip_queue":true"#],
      [#""QUEUED","#, #""APPLIED","#], true
    ),
    // Another amount, in every form.
    ([#""amount":12.5"#, #""amount":12.6"#], [], false), ([#""amount":12.5"#, #""amount":"12.5""#], [], false),
    ([#""precision":100"#, #""precision":1000"#], [], false), ([#""precision":100,"#, ""], [], false),
    ([#""amount":12.5,"precision":100"#, #""precise_amount":1251"#], [], false),
    ([#""amount":12.5,"precision":100"#, #""precise_amount":"1250""#], [], false),
    ([#""amount":12.5"#, #""amount":12.6,"precise_amount":1250"#], [], false),
    ([#""amount":12.5,"precision":100,"#, ""], [], false),
    ([], [#""precise_amount":1250,"amount":12.5"#, #""precise_amount":1251,"amount":12.5"#], false),
    ([#""amount":12.5"#, #""amount":1e999"#], [#""amount":12.5"#, #""amount":1e999"#], false),
    // Another member.
    ([#""currency":"USD""#, #""currency":"usd""#], [], false), ([#""reference":"r""#, #""reference":"R""#], [], false),
    ([#""source":"bln_1""#, #""source":"bln_3""#], [], false), ([#""source":"bln_1","#, ""], [], false),
    ([#""destination":"@A""#, #""destination":"@B""#], [], false),
    ([#""destination":"@A""#, #""destination":"bln_2""#], [], true),
    ([], [#""destination":"bln_2""#, #""destination":"@A""#], false),
    ([#""description":"u""#, #""description":"v""#], [], false), ([#","description":"u""#, ""], [], false),
    ([#""description":"u""#, #""description":"u","inflight":true"#], [], false),
    ([#""description":"u""#, #""description":"u","scheduled_for":"2030-01-01T00:00:00Z""#], [], false),
    ([#""description":"u""#, #""description":"u","rate":2"#], [], false),
    ([#""description":"u""#, #""description":"u","unknown":1"#], [], false),
    ([#""description":"u""#, #""description":"u","destinations":[]"#], [], false),
    ([#""description":"u""#, #""description":"u","meta_data":{"a":1}"#], [], false),
    ([], [#""meta_data":{"#, #""meta_data":{"of":"another","#], false),
    (
      [#""description":"u""#, #""description":"u","meta_data":{"b":1}"#],
      [#""meta_data":{"#, #""meta_data":{"b":1,"of":"another","#], false
    ),
    ([], [#""overdraft_limit":0"#, #""overdraft_limit":9"#], false),
    ([], [#""atomic":false"#, #""atomic":true"#], false),
    // A name twice.
    ([#""description":"u""#, #""description":"u","Amount":12.5"#], [], false),
  ]

  @Test(arguments: transactions.indices)
  func `compares a transaction member by member, both ways`(index: Int) {
    let (request, record, isMatch) = Self.transactions[index]
    let changed = { (text: String, change: [String]) in
      change.isEmpty ? text : text.replacing(change[0], with: change[1])
    }
    #expect(request.isEmpty || Self.request.contains(request[0]))
    #expect(record.isEmpty || Self.record.contains(record[0]))
    #expect(
      Self.isMatch(.transaction, changed(Self.request, request), changed(Self.record, record)) == isMatch,
      "\(request) \(record)")
  }

  private static let identity =
    #"{"identity_id":"idt_1","identity_type":"","first_name":"Ada","last_name":"","dob":"0001-01-01T00:00:00Z","created_at":"2026-11-28T18:02:29Z","meta_data":null}"#

  static let identities: [(String, String, Bool)] = [
    (#"{"identity_id":"idt_1","first_name":"Ada"}"#, identity, true),
    (#"{"IDENTITY_ID":"idt_1","First_Name":"Ada","last_name":""}"#, identity, true),
    (#"{"identity_id":"idt_1","first_name":"Bob"}"#, identity, false),
    (#"{"identity_id":"idt_1","first_name":"ada"}"#, identity, false),
    // Another client's record may have more: it must not be shown.
    (#"{"identity_id":"idt_1"}"#, identity, false),
    (#"{"identity_id":"idt_1","first_name":"Ada"}"#, identity.replacing("null", with: #"{"a":1}"#), false),
    (
      #"{"identity_id":"idt_1","first_name":"Ada","meta_data":{"a":1}}"#, identity.replacing("null", with: #"{"a":1}"#),
      true
    ),
    (
      #"{"identity_id":"idt_1","first_name":"Ada","meta_data":{"a":1}}"#,
      identity.replacing("null", with: #"{"a":1,"b":2}"#), false
    ),
    (#"{"identity_id":"idt_1","first_name":"Ada","first_name":"Ada"}"#, identity, false),
    (#"{"identity_id":"idt_1","first_name":"Ada"} {}"#, identity, false),
  ]

  @Test(arguments: identities)
  func `compares an identity member by member, both ways`(request: String, record: String, isMatch: Bool) {
    #expect(Self.isMatch(.identity, request, record) == isMatch)
    #expect(!Self.isMatch(.deletion, request, record))
  }
}
