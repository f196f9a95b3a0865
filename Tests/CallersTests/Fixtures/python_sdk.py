"""Makes every call of Blnk's Python SDK except those of Core's administration; prints what each returns, one line
per call.

Arguments: base URL, key, and an instance id, which may be empty. Ids are left out, so that two runs compare equal.
"""
import io
import sys

from blnk_sdk import BlnkClientOptions, blnk_init


class Silent:
    def info(self, *_): pass
    def error(self, *_): pass
    def debug(self, *_): pass


base_url, key, instance_id = sys.argv[1:4]
blnk = blnk_init(key, BlnkClientOptions(base_url=base_url, instance_id=instance_id, logger=Silent()))


def call(name, response):
    data = response.data
    shape = sorted(data) if isinstance(data, dict) else type(data).__name__
    code = response.error.code if response.error else ""
    print(name, response.status, code, shape)
    return data if isinstance(data, dict) else {}


transaction = {
    "amount": 10, "precision": 100, "currency": "USD", "reference": "ref_1", "description": "first",
    "source": "@World", "destination": "@Bank", "allow_overdraft": True, "skip_queue": True,
}
ledger = call("ledgers.create", blnk.ledgers.create({"name": "savings"})).get("ledger_id", "none")
call("ledgers.get", blnk.ledgers.get(ledger))
call("ledgers.list", blnk.ledgers.list({"limit": 1, "offset": 0}))
call("ledgers.update", blnk.ledgers.update(ledger, {"name": "current"}))

person = {
    "identity_type": "individual", "first_name": "Ada", "last_name": "Byron", "other_names": "King", "gender": "female",
    "dob": "1990-01-01T00:00:00Z", "email_address": "ada@example.com", "phone_number": "1", "nationality": "GB",
    "organization_name": "", "category": "customer", "street": "1", "country": "GB", "state": "L", "post_code": "1",
    "city": "London", "meta_data": {},
}
identity = call("identity.create", blnk.identity.create(person)).get("identity_id", "none")
call("identity.get", blnk.identity.get(identity))
call("identity.list", blnk.identity.list())
call("identity.update", blnk.identity.update(identity, {**person, "first_name": "Augusta"}))
call("identity.tokenize_field", blnk.identity.tokenize_field(identity, "FirstName"))
call("identity.tokenize", blnk.identity.tokenize(identity, {"fields": ["LastName"]}))
call("identity.get_tokenized_fields", blnk.identity.get_tokenized_fields(identity))
call("identity.detokenize_field", blnk.identity.detokenize_field(identity, "FirstName"))
call("identity.detokenize", blnk.identity.detokenize(identity, {"fields": ["LastName"]}))

balances = blnk.ledger_balances
balance = call("balances.create", balances.create({"ledger_id": ledger, "currency": "USD"})).get("balance_id", "none")
call("balances.get", balances.get(balance, {"from_source": True}))
call("balances.list", balances.list({"limit": 1}))
call("balances.update_identity", balances.update_identity(balance, {"identity_id": identity}))
call("balances.create_snapshot", balances.create_snapshot({"batch_size": 1}))
call("balances.get_at", balances.get_at(balance, {"timestamp": "2099-01-01T00:00:00Z"}))
call("balances.get_lineage", balances.get_lineage(balance))

made = call("transactions.create", blnk.transactions.create(transaction)).get("transaction_id", "none")
call("balances.get_by_indicator", balances.get_by_indicator("@World", "USD"))
call("transactions.get", blnk.transactions.get(made))
call("transactions.list", blnk.transactions.list({"limit": 1}))
call("transactions.get_by_reference", blnk.transactions.get_by_reference("ref_1"))
call("transactions.get_lineage", blnk.transactions.get_lineage(made))
call("transactions.create_bulk", blnk.transactions.create_bulk({"transactions": [{**transaction, "reference": "ref_2"}]}))
call("transactions.update_status", blnk.transactions.update_status(made, {"status": "commit"}))
call("transactions.bulk_commit", blnk.transactions.bulk_commit_inflight({"transactions": [{"transaction_id": made}]}))
call("transactions.bulk_void", blnk.transactions.bulk_void_inflight({"transaction_ids": [made]}))
call("transactions.refund", blnk.transactions.refund(made))
call("transactions.recover_queue", blnk.transactions.recover_queue({"threshold": "5m"}))

monitor = {"balance_id": balance, "condition": {"field": "balance", "operator": ">", "value": 1, "precision": 100}}
call("monitors.create", blnk.balance_monitor.create(monitor))
call("monitors.get", blnk.balance_monitor.get("mon_1"))
call("monitors.list", blnk.balance_monitor.list())
call("monitors.list_by_balance_id", blnk.balance_monitor.list_by_balance_id(balance))
call("monitors.update", blnk.balance_monitor.update("mon_1", monitor))
call("monitors.delete", blnk.balance_monitor.delete("mon_1"))

rule = {
    "name": "same amount", "description": "of both sides",
    "criteria": [{"field": "amount", "operator": "equals", "allowable_drift": 0}],
}
external = [{
    "id": "1", "amount": 10, "reference": "ref_1", "currency": "USD", "description": "first",
    "date": "2026-01-01T00:00:00Z", "source": "bank",
}]
run = {
    "strategy": "one_to_one", "matching_rule_ids": ["rule_1"], "dry_run": True, "grouping_criteria": "amount",
}
call("reconciliation.upload", blnk.reconciliation.upload(io.BytesIO(b"id,amount\n1,10\n"), "bank"))
call("reconciliation.create_matching_rule", blnk.reconciliation.create_matching_rule(rule))
call("reconciliation.update_matching_rule", blnk.reconciliation.update_matching_rule("rule_1", rule))
call("reconciliation.delete_matching_rule", blnk.reconciliation.delete_matching_rule("rule_1"))
call("reconciliation.run", blnk.reconciliation.run({**run, "upload_id": "upload_1"}))
call("reconciliation.run_instant", blnk.reconciliation.run_instant({**run, "external_transactions": external}))
call("reconciliation.get", blnk.reconciliation.get("recon_1"))

call("search.search", blnk.search.search({"q": "*", "query_by": "name"}, "ledgers"))
call("search.multi_search", blnk.search.multi_search({"searches": [{"collection": "balances", "q": "*"}]}))
for collection in ["balances", "identities", "ledgers", "transactions"]:
    call("search.filter", blnk.search.filter({"filters": []}, collection))
call("search.start_reindex", blnk.search.start_reindex({"batch_size": 100}))
call("search.get_reindex_status", blnk.search.get_reindex_status())

call("metadata.update", blnk.metadata.update(ledger, {"meta_data": {"a": 1}}))
call("identity.delete", blnk.identity.delete(identity))
call("system.health", blnk.system.health())
