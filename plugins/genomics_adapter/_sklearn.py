"""What is used of scikit-learn; where it is missing, the error names the command that installs it."""

from dasha._optional import require

require("sklearn", extra="genomics")

from sklearn.base import BaseEstimator as BaseEstimator  # noqa: E402
from sklearn.base import ClassifierMixin as ClassifierMixin  # noqa: E402
from sklearn.base import RegressorMixin as RegressorMixin  # noqa: E402
from sklearn.metrics import average_precision_score as average_precision_score  # noqa: E402
from sklearn.model_selection import train_test_split as train_test_split  # noqa: E402
from sklearn.utils import Tags as Tags  # noqa: E402
from sklearn.utils import check_random_state as check_random_state  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets as check_classification_targets  # noqa: E402
from sklearn.utils.multiclass import type_of_target as type_of_target  # noqa: E402
from sklearn.utils.validation import check_array as check_array  # noqa: E402
from sklearn.utils.validation import check_is_fitted as check_is_fitted  # noqa: E402
from sklearn.utils.validation import column_or_1d as column_or_1d  # noqa: E402
from sklearn.utils.validation import validate_data as validate_data  # noqa: E402
