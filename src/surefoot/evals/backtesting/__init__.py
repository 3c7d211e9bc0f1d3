"""Backtests: recorded runs once more with something changed, of which only what the change reaches is run anew."""

from surefoot.evals.backtesting.backtest import Backtest, backtest, backtest_async
from surefoot.evals.backtesting.choosing import Chosen, Wanted
from surefoot.evals.backtesting.forecast import Forecast
from surefoot.evals.backtesting.reuse import Reuse

__all__ = ["Backtest", "Chosen", "Forecast", "Reuse", "Wanted", "backtest", "backtest_async"]
