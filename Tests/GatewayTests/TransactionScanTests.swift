import Foundation
import HTTP1
import TestSupport
import Testing

@testable import Gateway

/// Whether Core has executed a transaction, by its response.
@Suite struct TransactionScanTests {
  static let bodies: [(String, TransactionScan.Result, String)] = [
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
    (#"{"status":"APP\u004cIED"}"#, .unclear, ""), (#"["status","QUEUED"]"#, .unclear, ""),
    ("{}", .unclear, ""), ("", .unclear, ""), ("created", .unclear, ""), (#"{"status":"QUEU"#, .unclear, ""),
    (#"{"transaction_id":"\#(String(repeating: "x", count: 65))","status":"QUEUED"}"#, .queued, ""),
  ]

  @Test(arguments: bodies)
  func `reads the status and the id, however the response is cut and framed`(
    body: String, result: TransactionScan.Result, id: String
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
        var scan = TransactionScan()
        scan.read((head + first).span, framing, headCount: head.count)
        scan.read(second.span, framing, headCount: head.count)
        #expect(scan.result == result && String(decoding: scan.transactionID, as: UTF8.self) == id, "cut \(cut)")
      }
    }
  }

  @Test func `stops after its bound`() {
    let late = #"{"a":"\#(String(repeating: "x", count: TransactionScan.bodyBytesMax))","#
    var scan = TransactionScan()
    scan.read(Array(late.utf8).span, .untilClose, headCount: 0)
    scan.read(Array(#""status":"APPLIED"}"#.utf8).span, .untilClose, headCount: 0)
    #expect(scan.result == .unclear)
  }
}
