"""Makes the calls of Blnk's Python SDK on Core's administration; prints what each returns, one line a call.

Arguments: base URL, key, and an instance id.
"""
import sys

from blnk_sdk import BlnkClientOptions, blnk_init


class Silent:
    def info(self, *_): pass
    def error(self, *_): pass
    def debug(self, *_): pass


base_url, key, instance_id = sys.argv[1:4]
blnk = blnk_init(key, BlnkClientOptions(base_url=base_url, instance_id=instance_id, logger=Silent()))


def call(name, response):
    print(name, response.status, response.error.code if response.error else "")


api_key = {"name": "a", "owner": "o", "scopes": ["ledgers:read"], "expires_at": "2099-01-01T00:00:00Z"}
hook = {
    "name": "a", "url": "https://hooks.example/a", "type": "PRE_TRANSACTION", "active": True, "timeout": 30,
    "retry_count": 1,
}
call("api_keys.create", blnk.api_keys.create(api_key))
call("api_keys.list", blnk.api_keys.list({"owner": "o"}))
call("api_keys.delete", blnk.api_keys.delete("key_1", {"owner": "o"}))
call("hooks.create", blnk.hooks.create(hook))
call("hooks.list", blnk.hooks.list({"type": "PRE_TRANSACTION"}))
call("hooks.get", blnk.hooks.get("hook_1"))
call("hooks.update", blnk.hooks.update("hook_1", hook))
call("hooks.delete", blnk.hooks.delete("hook_1"))
