import Foundation
import HTTP1
import TestSupport
import Testing

@testable import Gateway

/// What Core's response says: whether it has executed a transaction, and the id.
@Suite struct ResponseScanTests {
  static let bodies: [(String, ResponseScan.Result, String)] = [
    (#"{"transaction_id":"txn_1","status":"QUEUED"}"#, .queued, "txn_1"),
    (#"{"transaction_id":"txn_1","status":"SCHEDULED"}"#, .queued, "txn_1"),
    (#"{"status":"APPLIED","transaction_id":"txn_1"}"#, .executed, "txn_1"),
    (#" { "status" : "INFLIGHT" , "x" : [ ] } "#, .executed, ""),
    (#"{"batch_id":"bulk_1","status":"processing"}"#, .queued, ""),
    (#"{"batch_id":"bulk_1","status":"applied","transaction_count":2}"#, .executed, ""),
    // Texts of the client, and nested members, are not Core's status.
    (#"{"description":"\"status\":\"APPLIED\"","status":"QUEUED"}"#, .queued, ""),
    (#"{"reference":"status","description":"APPLIED","status":"QUEUED"}"#, .queued, ""),
    (#"{"meta_data":{"status":"APPLIED","transaction_id":"x"},"status":"QUEUED"}"#, .queued, ""),
    (#"{"destinations":[{"transaction_id":"txn_2","status":"APPLIED"}],"transaction_id":"txn_1"}"#, .unclear, "txn_1"),
    (#"{"a":"\\","status":"QUEUED"}"#, .queued, ""),
    (#"{"status":"QUEUED""#, .queued, ""),
    (#"{"status":""}"#, .unclear, ""), (#"{"status":1}"#, .unclear, ""),
    (#"{"status":null,"a":"QUEUED"}"#, .unclear, ""),
    (#"{"status":"APP\u004cIED"}"#, .executed, ""), (#"["status","QUEUED"]"#, .unclear, ""),
    (#"{"status":"APPLIED","transaction_id":"txn_1",}"#, .unclear, ""),
    (#"{"status":"QUEUED","transaction_id":"txn_1","STATUS":"APPLIED"}"#, .executed, "txn_1"),
    (#"{"status":"QUEUED","transaction_id":"txn_1"}{"status":"APPLIED"}"#, .queued, "txn_1"),
    ("{}", .unclear, ""), ("", .unclear, ""), ("created", .unclear, ""), (#"{"status":"QUEU"#, .unclear, ""),
    (#"{"transaction_id":"\#(String(repeating: "x", count: 257))","status":"QUEUED"}"#, .queued, ""),
  ]

  @Test(arguments: bodies)
  func `reads the status and the id, however the response is cut and framed`(
    body: String, result: ResponseScan.Result, id: String
  ) {
    let bytes = Array(body.utf8)
    let head = Array("head".utf8)
    for cut in 0...bytes.count {
      let chunk = { (part: ArraySlice<UInt8>) in
        part.isEmpty ? [] : Array("\(String(part.count, radix: 16))\r\n".utf8) + part + Array("\r\n".utf8)
      }
      for (framing, first, second) in [
        (BodyFraming.length(bytes.count), Array(bytes[..<cut]), Array(bytes[cut...])),
        (.untilClose, Array(bytes[..<cut]), Array(bytes[cut...])),
        (.chunked, chunk(bytes[..<cut]), chunk(bytes[cut...]) + Array("0\r\n\r\n".utf8)),
      ] {
        var scan = ResponseScan(framing)
        let received = head + first
        scan.read(received.span, from: head.count)
        scan.read(second.span, from: 0)
        let found = String(decoding: scan.members[.transactionID] ?? [], as: UTF8.self)
        #expect(scan.result == result && found == id, "cut \(cut)")
      }
    }
  }

  @Test func `stops after its bound`() {
    let status = #""status":"APPLIED"}"#
    for (excess, result) in [(0, ResponseScan.Result.executed), (2, .unclear)] {
      let space = String(repeating: " ", count: ResponseScan.bodyBytesMax - status.utf8.count - 1 + excess)
      // The part that crosses the bound, and parts before and after it.
      for cut in [0, 10, 40_000, ResponseScan.bodyBytesMax] {
        let body = Array("{\(space)\(status)".utf8)
        var scan = ResponseScan(.untilClose)
        scan.read(body.span.extracting(0..<cut), from: 0)
        scan.read(body.span.extracting(cut..<body.count), from: 0)
        #expect(scan.result == result, "cut \(cut)")
      }
    }
  }
}
