"""Who may do what: principals, roles, grants and tokens, and who keeps the record of them."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.access.grants import Grant as Grant
    from surefoot.access.grants import Member as Member
    from surefoot.access.heads import Head as Head
    from surefoot.access.heads import heads_in as heads_in
    from surefoot.access.oidc import Claims as Claims
    from surefoot.access.oidc import Provider as Provider
    from surefoot.access.oidc import TokenRefused as TokenRefused
    from surefoot.access.permissions import PERMISSIONS as PERMISSIONS
    from surefoot.access.permissions import VERBS as VERBS
    from surefoot.access.permissions import Permission as Permission
    from surefoot.access.permissions import kind_of as kind_of
    from surefoot.access.permissions import permission as permission
    from surefoot.access.principals import LOCAL as LOCAL
    from surefoot.access.principals import Principal as Principal
    from surefoot.access.principals import account_of as account_of
    from surefoot.access.principals import is_account as is_account
    from surefoot.access.principals import principal_id as principal_id
    from surefoot.access.roles import ROLES as ROLES
    from surefoot.access.roles import Role as Role
    from surefoot.access.roles import role as role
    from surefoot.access.roles import with_own as with_own
    from surefoot.access.roster import Roster as Roster
    from surefoot.access.roster import Ruling as Ruling
    from surefoot.access.scopes import EVERYWHERE as EVERYWHERE
    from surefoot.access.scopes import UNNAMED as UNNAMED
    from surefoot.access.scopes import Resource as Resource
    from surefoot.access.scopes import Scope as Scope
    from surefoot.access.scopes import organisation_name as organisation_name
    from surefoot.access.scopes import scope as scope
    from surefoot.access.tokens import PREFIX as PREFIX
    from surefoot.access.tokens import TokenRow as TokenRow
    from surefoot.access.tokens import is_token as is_token
    from surefoot.access.tokens import new_token as new_token
    from surefoot.access.tokens import shown as shown
    from surefoot.access.tokens import token_digest as token_digest
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "grants": ["Grant", "Member"],
            "heads": ["Head", "heads_in"],
            "oidc": ["Claims", "Provider", "TokenRefused"],
            "permissions": ["PERMISSIONS", "VERBS", "Permission", "kind_of", "permission"],
            "principals": ["LOCAL", "Principal", "account_of", "is_account", "principal_id"],
            "roles": ["ROLES", "Role", "role", "with_own"],
            "roster": ["Roster", "Ruling"],
            "scopes": ["EVERYWHERE", "UNNAMED", "Resource", "Scope", "organisation_name", "scope"],
            "tokens": ["PREFIX", "TokenRow", "is_token", "new_token", "shown", "token_digest"],
        },
    )
