"""Setting up a standby: what only happens at a bad moment. The lab sets up real ones."""

import pytest

from nagios_failover.errors import Failed
from nagios_failover.setup_standby import require_unwritten
from tests.fake_database import FakeDatabase


def test_a_server_that_somebody_wrote_to_while_the_copy_was_loaded_is_no_copy() -> None:
    require_unwritten(FakeDatabase("nabira", position=""))
    with pytest.raises(Failed) as failed:
        require_unwritten(FakeDatabase("nabira", position="0-2-1"))
    assert str(failed.value) == "nabira: somebody has written here while the copy was loaded (0-2-1)"
    assert failed.value.hint == "end what writes on a standby's database, and give the command again"
