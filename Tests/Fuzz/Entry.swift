import Glibc

/// What libFuzzer calls with each input; `FUZZ_TARGET` names what is tried.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  do {
    switch target {
    case "request-head": try Properties.requestHead(bytes)
    case "response-head": try Properties.responseHead(bytes)
    case "chunked-body": try Properties.chunkedBody(bytes)
    case "query": try Properties.query(bytes)
    case "idempotency-key": try Properties.idempotencyKey(bytes)
    case "policy-file": try PolicyFileProperty.check(bytes)
    case "introspection-answer": try IntrospectionProperty.check(bytes)
    case "proxy-header": try FrontProperties.proxyHeader(bytes)
    case "forwarded": try FrontProperties.forwarded(bytes)
    case "form-body": try OAuthProperties.formBody(bytes)
    case "signed-token": try OAuthProperties.signedToken(bytes)
    case "basic-field": try OAuthProperties.basicField(bytes)
    case "authorization-url": try OAuthProperties.authorizationURL(bytes)
    case "audited-json": try JSONMembersProperty.check(bytes)
    case "journal-record": try RecordProperties.check(bytes)
    default: preconditionFailure("FUZZ_TARGET names no target")
    }
  } catch {
    preconditionFailure("\(error)")  // A property that does not hold is the find.
  }
  return 0
}

private let target = unsafe getenv("FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
